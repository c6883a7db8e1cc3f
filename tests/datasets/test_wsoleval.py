import pytest

from cicam_mm.datasets import WSOLEvalLocalization

# As published: no header, no line break at the end, and another order in every list.
FILES = {
    'image_ids.txt': 'a/1.jpg\nb/2.jpg\nb/3.jpg',
    'class_labels.txt': 'b/3.jpg,1\na/1.jpg,0\nb/2.jpg,1',
    'image_sizes.txt': 'a/1.jpg,40,20\nb/2.jpg,50,30\nb/3.jpg,60,40',
    'localization.txt': 'b/3.jpg,0,0,59,39\nb/2.jpg,1,2,3,4\na/1.jpg,5,6,5,9\nb/2.jpg,0,0,50,30',
}
MASKS = 'b/3.jpg,m3.png,\na/1.jpg,m1a.png,ignore.png\na/1.jpg,m1b.png,\nb/2.jpg,m2.png,i2.png'


def build(root, test_mode=True, **options):
    return WSOLEvalLocalization('images', str(root), test_mode=test_mode, **options)


def infos(root, **options):
    data = build(root, **options)
    return [data[i] for i in range(len(data))]


def test_several_boxes_an_image(root):
    assert infos(root) == [
        dict(img_path='images/a/1.jpg', gt_label=0, sample_idx=0, width=40, height=20,
             orientation='stored',
             instances=[dict(bbox=[5, 6, 5, 9], bbox_label=0)]),
        dict(img_path='images/b/2.jpg', gt_label=1, sample_idx=1, width=50, height=30,
             orientation='stored',
             instances=[dict(bbox=[1, 2, 3, 4], bbox_label=1),
                        dict(bbox=[0, 0, 50, 30], bbox_label=1)]),
        dict(img_path='images/b/3.jpg', gt_label=1, sample_idx=2, width=60, height=40,
             orientation='stored',
             instances=[dict(bbox=[0, 0, 59, 39], bbox_label=1)])]


def test_several_masks_an_image_and_what_is_ignored(root):
    (root / 'localization.txt').write_text(MASKS)
    (root / 'image_sizes.txt').unlink()  # OpenImages30k has none
    first, second, third = infos(root, mask_root='masks')
    assert first['instances'] == [dict(mask_path='masks/m1a.png', bbox_label=0),
                                  dict(mask_path='masks/m1b.png', bbox_label=0)]
    assert first['ignore_path'] == 'masks/ignore.png' and second['ignore_path'] == 'masks/i2.png'
    assert third['ignore_path'] is None


@pytest.mark.parametrize('mask_root', [None, 'masks'])
def test_a_class_may_have_no_objects(root, edit, mask_root):
    edit('class_labels.txt', 'b/3.jpg,1', 'b/3.jpg,2')
    lines = (MASKS if mask_root else FILES['localization.txt']).split('\n')
    (root / 'localization.txt').write_text('\n'.join(lines[1:]))
    assert [len(info['instances']) for info in infos(root, mask_root=mask_root)] == (
        [2, 1, 0] if mask_root else [1, 2, 0])


def test_training_reads_labels_only_and_image_ids_choose_the_images(root):
    (root / 'image_sizes.txt').unlink()
    (root / 'localization.txt').unlink()
    (root / 'image_ids.txt').write_text('b/3.jpg\n')
    assert infos(root, test_mode=False) == [
        dict(img_path='images/b/3.jpg', gt_label=1, sample_idx=0, orientation='stored')]


def test_classes(root):
    assert build(root).metainfo == dict(classes=('0', '1'), classes_are_numbers=True)
    names = ('ant', 'bee', 'cat')
    assert build(root, classes=[*names]).metainfo == dict(classes=names)
    with pytest.raises(ValueError, match="WSOLEvalLocalization has 2 classes named 'ant'"):
        build(root, classes=['ant', 'bee', 'ant'])
    with pytest.raises(ValueError, match='class_labels.txt, line 3: label 1 has no class .labels '
                       'of 1 classes go from 0 to 0'):
        build(root, classes=['ant'])


@pytest.mark.parametrize('name, old, new, message', [
    ('image_ids.txt', 'b/2.jpg', './a/1.jpg', "line 2: 'a/1.jpg' is already on line 1"),
    ('image_ids.txt', 'b/2.jpg', 'c/2.jpg', r"line 2: 'c/2.jpg' is not in .*class_labels.txt"),
    ('class_labels.txt', 'a/1.jpg,0', 'a/1.jpg,-1', "line 2: expected 'path,label'"),
    ('image_sizes.txt', 'b/2.jpg,50,30\n', '', r"ids.txt, line 2: 'b/2.jpg' is not in .*sizes"),
    ('localization.txt', '1,2,3,4', '1,2,0,4', r'line 2: the box \[1.0, 2.0, 0.0, 4.0\]'),
    ('localization.txt', 'b/3.jpg,0,0,59,39\n', '', 'have no box or mask .* images/b/3'),
])
def test_errors_name_file_and_line(root, edit, name, old, new, message):
    edit(name, old, new)
    with pytest.raises(ValueError, match=message):
        build(root)


@pytest.mark.parametrize('old, new, message', [
    (',m1b.png,', ',m1b.png,i.png', "line 3: 'a/1.jpg' already has an ignored file on line 2"),
    (',m1b.png,', ',,', "line 3: expected 'path,mask,ignored', found 'a/1.jpg,,'"),
    ('b/3.jpg,m3.png,\n', '', '1 of 3 test images .* have no box or mask'),
])
def test_errors_in_lists_of_masks(root, edit, old, new, message):
    (root / 'localization.txt').write_text(MASKS)
    edit('localization.txt', old, new)
    with pytest.raises(ValueError, match=message):
        build(root, mask_root='masks')
