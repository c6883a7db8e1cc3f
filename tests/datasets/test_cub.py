import pytest
from mmpretrain.registry import DATASETS

import cicam_mm  # noqa: F401
from cicam_mm.datasets import CUBLocalization

# Ids and classes have gaps, as in lists which were cut.
LISTS = {
    'images.txt': '3 004.Ani/a.jpg\n4 004.Ani/b.jpg\n8 010.Auklet/c.jpg\n9 010.Auklet/d.jpg\n',
    'classes.txt': '4 004.Ani\n10 010.Auklet\n',
    'image_class_labels.txt': '3 4\n4 4\n8 10\n9 10\n',
    'train_test_split.txt': '3 1\n4 0\n8 1\n9 0\n',
    'bounding_boxes.txt': '3 1.0 2.0 30.0 40.0\n4 0 0 9 9\n8 5.5 6 10 20\n9 0 1 2 3\n',
}


@pytest.fixture
def root(tmp_path):
    for name, text in LISTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_images_labels_and_boxes(root):
    data = DATASETS.build(dict(type='CUBLocalization', data_root=str(root), split='train'))
    assert data.metainfo['classes'] == ('004.Ani', '010.Auklet')
    assert [data.get_data_info(i) for i in range(len(data))] == [
        dict(img_path=f'{root}/images/004.Ani/a.jpg', gt_label=0, sample_idx=0,
             instances=[dict(bbox=[1, 2, 31, 42], bbox_label=0,
                             mask_path=f'{root}/segmentations/004.Ani/a.png')]),
        dict(img_path=f'{root}/images/010.Auklet/c.jpg', gt_label=1, sample_idx=1,
             instances=[dict(bbox=[5.5, 6, 15.5, 26], bbox_label=1,
                             mask_path=f'{root}/segmentations/010.Auklet/c.png')])]


def test_splits_share_the_images(root):
    paths = [[i['img_path'] for i in map(data.get_data_info, range(len(data)))]
             for data in (CUBLocalization(str(root)), CUBLocalization(str(root), split='test'))]
    assert [[path[-5:] for path in split] for split in paths] == [['a.jpg', 'c.jpg'],
                                                                 ['b.jpg', 'd.jpg']]


def test_chosen_classes_get_contiguous_labels_in_the_given_order(root):
    data = CUBLocalization(str(root), classes=['010.Auklet'])
    assert data.metainfo['classes'] == ('010.Auklet', )
    assert [data.get_data_info(i)['gt_label'] for i in range(len(data))] == [0]
    data = CUBLocalization(str(root), classes=['010.Auklet', '004.Ani'])
    assert data.get_gt_labels().tolist() == [1, 0]


def test_unknown_class_and_split(root):
    with pytest.raises(ValueError, match="no class 'Ani' .* look like .'004.Ani', '010.Auklet'"):
        CUBLocalization(str(root), classes=['Ani'])
    with pytest.raises(ValueError, match="'train' or 'test', not 'val'"):
        CUBLocalization(str(root), split='val')


@pytest.mark.parametrize('name', LISTS)
def test_missing_list(root, name):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{root}/{name}'):
        CUBLocalization(str(root))


@pytest.mark.parametrize('name', LISTS)
def test_a_list_cut_off_anywhere_is_noticed(root, name):
    text = LISTS[name]
    for length in range(len(text)):
        (root / name).write_text(text[:length])
        with pytest.raises(ValueError, match='.txt'):
            CUBLocalization(str(root))


@pytest.mark.parametrize('name, old, new, message', [
    ('image_class_labels.txt', '8 10', '7 10', "images.txt, line 3: '8' is not in .*_labels.txt"),
    ('train_test_split.txt', '9 0\n', '', "images.txt, line 4: '9' is not in .*_split.txt"),
    ('bounding_boxes.txt', '9 0 1', '11 0 1', "images.txt, line 4: '9' is not in .*_boxes.txt"),
    ('images.txt', '3 004.Ani/a.jpg\n', '', "_labels.txt, line 1: '3' is not in .*images.txt"),
    ('images.txt', '3 004.Ani/a.jpg', '4 004.Ani/a.jpg', "line 2: '4' is already on line 1"),
    ('classes.txt', '10 010.Auklet\n', '', 'labels.txt, line 3: class 10 has no name in classes'),
    ('train_test_split.txt', '8 1', '8 2', "split.txt, line 3: expected 'id is_training'"),
    ('bounding_boxes.txt', '8 5.5', '8 x', "boxes.txt, line 3: expected 'id x y width height'"),
    ('bounding_boxes.txt', '30.0', '0.0', r'boxes.txt, line 1: the box \[1.0, 2.0, 1.0, 42.0\]'),
    ('bounding_boxes.txt', '0 1 2 3', '0 1 2 -3', 'boxes.txt, line 4: the box .* has no area'),
])
def test_errors_name_file_and_line(root, name, old, new, message):
    edit(root, name, old, new)
    with pytest.raises(ValueError, match=message):
        CUBLocalization(str(root))


def test_no_image_left(root):
    (root / 'train_test_split.txt').write_text('3 0\n4 0\n8 0\n9 0\n')
    with pytest.raises(ValueError, match=f"No image of split 'train' in {root}"):
        CUBLocalization(str(root))


def test_ten_real_classes(shared):
    load = dict(pipeline=[dict(type='LoadWSOLImage')])
    for split, length in dict(train=300, test=243).items():
        data = CUBLocalization(str(shared / 'data/cub10'), split=split, **load)
        assert len(data) == length
        assert set(data.get_gt_labels()) == set(range(10))
        assert all(data[i]['img'].ndim == 3 for i in range(0, length, 10))
    first = CUBLocalization(str(shared / 'data/cub10'), split='test').get_data_info(0)
    assert first['img_path'].endswith('Black_Footed_Albatross_0046_18.jpg')
    assert first['instances'][0]['bbox'] == [60, 27, 385, 331]
