import cv2
import numpy as np
import pytest

from cicam_mm.datasets import FolderLocalization
from cicam_mm.utils.errors import UserError

FILES = dict.fromkeys(['val/ant/a.png', 'val/ant/b.png', 'val/bee/c.png', 'train/ant/t.png'], '')


def build(root, rows=None, data_prefix='val', **options):
    if rows is not None:
        (root / 'boxes.csv').write_text('\n'.join(['path,x0,y0,x1,y1', *rows]))
        options['box_file'] = 'boxes.csv'
    return FolderLocalization(str(root), data_prefix, **options)


def labels(data):
    infos = map(data.get_data_info, range(len(data)))
    return [(info['img_path'].partition('/val/')[2], info['gt_label']) for info in infos]


def test_several_boxes_an_image_from_one_list_for_all(root):
    data = build(root, ['val/bee/c.png,1,2,3,4', './val/ant/a.png,0,0,30,20',
                        'val/bee/c.png,5.5,6,7,8', 'train/ant/t.png,1,1,2,2'])
    assert data.metainfo['classes'] == ('ant', 'bee')
    infos = [data.get_data_info(i) for i in range(3)]
    assert [info['gt_label'] for info in infos] == [0, 0, 1]
    assert [[i['bbox'] for i in info['instances']] for info in infos] == [
        [[0, 0, 30, 20]], [], [[1, 2, 3, 4], [5.5, 6, 7, 8]]]
    assert infos[2]['instances'][1]['bbox_label'] == 1


def test_training_needs_no_boxes(root):
    cv2.imwrite(str(root / 'val/ant/a.png'), np.zeros((20, 30, 3)))
    data = build(root, pipeline=[dict(type='LoadWSOLImage'), dict(type='PackInputs')])
    assert data[0]['inputs'].shape == (3, 20, 30)


def test_testing_needs_boxes_but_for_classes_without_any(root):
    ant = [f'val/ant/{name}.png,0,0,9,9' for name in 'ab']
    assert len(build(root, ant, test_mode=True)) == 3
    with pytest.raises(UserError, match=r'1 of 3 test images .* them \S+/ant/b.png;'):
        build(root, ant[:1], test_mode=True)
    with pytest.raises(UserError, match='3 of 3 test images of FolderLocalization have no box'):
        build(root, test_mode=True)
    rows = [ant[0], 'val/bee/c.png,0,0,9,9']  # of a held-out part only its own images need some
    assert len(build(root, rows, test_mode=True, indices=[0, 2])) == 2
    with pytest.raises(UserError, match='1 of 1 test images'):
        build(root, rows, test_mode=True, indices=[1])


def test_labels_follow_the_option_classes_by_the_names_of_folders(root, said):
    assert labels(build(root, classes=['bee', 'ant'])) == [
        ('ant/a.png', 1), ('ant/b.png', 1), ('bee/c.png', 0)]
    assert not said
    data = build(root, classes=['bee', 'cat'])  # no folder of cats, and ants are left out
    assert labels(data) == [('bee/c.png', 0)] and data.metainfo['classes'] == ('bee', 'cat')
    assert said == [f'{root}/val: 1 folders are not among the classes, such as ant',
                    f'{root}/val: 1 classes have no image, such as cat']
    with pytest.raises(UserError, match="FolderLocalization has 2 classes named 'bee'"):
        build(root, classes=['bee', 'bee'])
    with pytest.raises(UserError, match=r"/val' has no image in a folder of a class \(cow\);"):
        build(root, classes=['cow'])


def test_hidden_folders_are_not_classes_and_what_is_left_out_is_counted(root, said):
    for name in ('.ipynb_checkpoints/a.png', 'ant/.ipynb_checkpoints/a.png', 'ant/._a.png',
                 'loose.png', 'bee/d.webp', 'bee/e.TIFF', 'bee/f.gif', 'bee/g.jfif', 'bee/h.avif',
                 'bee/i.xyz', 'bee/j.xyz', 'bee/Thumbs.db'):
        (root / 'val' / name).parent.mkdir(exist_ok=True)
        (root / 'val' / name).touch()
    data = build(root)
    assert data.metainfo['classes'] == ('ant', 'bee')
    assert [path[4:] for path, label in labels(data) if label] == [
        'c.png', 'd.webp', 'e.TIFF', 'f.gif', 'g.jfif', 'h.avif']
    assert len(data) == 8
    assert said == [
        f'{root}/val: 3 files are not images that can be read here, such as .db, .xyz',
        f'{root}/val: 1 images are in no class folder, such as loose.png']


@pytest.mark.parametrize('row, message', [
    ('val/ant/z.png,1,2,3,4', r"there is no image '\S+/val/ant/z.png' .paths are relative"),
    ('val/ant/a.png,1,2,1,4', r'\[1.0, 2.0, 1.0, 4.0\] \(x0, y0, x1, y1\) has no area'),
])
def test_errors_name_file_and_line(root, row, message):
    with pytest.raises(UserError, match=f'{root}/boxes.csv, line 3: .*{message}'):
        build(root, ['val/ant/a.png,0,0,9,9', row])


def test_missing_box_file_and_folders_without_images(root):
    with pytest.raises(FileNotFoundError, match=f'{root}/other.csv'):
        build(root, box_file='other.csv')
    (root / 'empty/ant').mkdir(parents=True)
    for folder in 'empty', 'empty/ant':
        with pytest.raises(UserError, match=f"'{root}/{folder}' has no image in a folder"):
            build(root, data_prefix=folder)


def test_links(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    (elsewhere / 'd.png').touch()
    (root / 'val/ant/more').symlink_to(elsewhere)
    assert len(build(root)) == 4
    for target in ('.', '..', '../..'):
        (root / 'val/ant/loop').symlink_to(target)
        with pytest.raises(UserError, match='val/ant/loop links to a folder above it'):
            build(root)
        (root / 'val/ant/loop').unlink()
