import pytest

from cicam_mm.datasets import CUBLocalization
from cicam_mm.utils.errors import UserError

# Ids and classes have gaps, as in lists that were cut.
FILES = {
    'images.txt': '3 004.Ani/a.jpg\n4 004.Ani/b.jpg\n8 010.Auklet/c.jpg\n9 010.Auklet/d.jpg\n',
    'classes.txt': '4 004.Ani\n10 010.Auklet\n',
    'image_class_labels.txt': '3 4\n4 4\n8 10\n9 10\n',
    'train_test_split.txt': '3 1\n4 0\n8 1\n9 0\n',
    'bounding_boxes.txt': '3 1.0 2.0 30.0 40.0\n4 0 0 9 9\n8 5.5 6 10 20\n9 0 1 2 3\n',
}


def infos(root, **options):
    data = CUBLocalization(str(root), **options)
    return [data[i] for i in range(len(data))]


def test_images_labels_and_boxes(root):
    assert infos(root, test_mode=True) == [
        dict(img_path=f'{root}/images/004.Ani/a.jpg', gt_label=0, sample_idx=0,
             orientation='stored', instances=[dict(
                 bbox=[1, 2, 31, 42], bbox_label=0,
                 mask_path=f'{root}/segmentations/004.Ani/a.png')]),
        dict(img_path=f'{root}/images/010.Auklet/c.jpg', gt_label=1, sample_idx=1,
             orientation='stored', instances=[dict(
                 bbox=[5.5, 6, 15.5, 26], bbox_label=1,
                 mask_path=f'{root}/segmentations/010.Auklet/c.png')])]
    assert [info['img_path'][-5:] for info in infos(root, split='test')] == ['b.jpg', 'd.jpg']


def test_chosen_classes_get_contiguous_labels_in_the_given_order(root):
    data = CUBLocalization(str(root), classes=['010.Auklet'])
    assert (data.metainfo['classes'], [*data.get_gt_labels()]) == (('010.Auklet', ), [0])
    data = CUBLocalization(str(root), classes=['010.Auklet', '004.Ani'])
    assert data.get_gt_labels().tolist() == [1, 0]


def test_boxes_are_for_testing_and_a_class_may_have_none(root):
    lines = FILES['bounding_boxes.txt'].splitlines(keepends=True)
    (root / 'bounding_boxes.txt').write_text(''.join(lines[:2]))
    tested = infos(root, split='test', test_mode=True)
    assert [len(info['instances']) for info in tested] == [1, 0]
    (root / 'bounding_boxes.txt').unlink()
    assert [info['instances'] for info in infos(root)] == [[], []]


@pytest.mark.parametrize('name', FILES)
def test_a_list_that_is_missing_or_cut_off_is_noticed(root, name):
    for length in 0, 3, -1:
        (root / name).write_text(FILES[name][:length])
        with pytest.raises(UserError, match='.txt'):
            CUBLocalization(str(root), test_mode=True)
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{root}/{name}'):
        CUBLocalization(str(root), test_mode=True)


@pytest.mark.parametrize('name, old, new, message', [
    ('image_class_labels.txt', '8 10', '7 10', "images.txt, line 3: '8' is not in .*_labels.txt"),
    ('images.txt', '3 004.Ani/a.jpg\n', '', "_labels.txt, line 1: '3' is not in .*images.txt"),
    ('images.txt', '004.Ani/b.jpg', './004.Ani/a.jpg',
     "images.txt, line 2: the image '004.Ani/a.jpg' is already on line 1"),
    ('classes.txt', '010.Auklet', '004.Ani', "CUBLocalization has 2 classes named '004.Ani'"),
    ('classes.txt', '10 010.Auklet\n', '', 'labels.txt, line 3: class 10 has no name in classes'),
    ('train_test_split.txt', '8 1', '8 2', "split.txt, line 3: expected 'id is_training'"),
    ('train_test_split.txt', '3 1\n4 0\n8 1', '3 0\n4 0\n8 0', 'CUBLocalization has no image'),
    ('bounding_boxes.txt', '30.0', '0.0', r'boxes.txt, line 1: the box \[1.0, 2.0, 1.0, 42.0\]'),
])
def test_errors_name_file_and_line(root, edit, name, old, new, message):
    edit(name, old, new)
    with pytest.raises(UserError, match=message):
        CUBLocalization(str(root), test_mode=True)


@pytest.mark.parametrize('options, message', [
    (dict(classes=['Ani']), "'Ani' is not in .* look like .'004.Ani', '010.Auklet'"),
    (dict(classes=2 * ['004.Ani']), "option classes has 2 classes named '004.Ani'")])
def test_wrong_options(root, options, message):
    with pytest.raises(UserError, match=message):
        CUBLocalization(str(root), **options)
