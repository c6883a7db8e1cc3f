import cv2
import numpy as np
import pytest
from mmpretrain.registry import DATASETS

import cicam_mm  # noqa: F401
from cicam_mm.datasets import FolderLocalization
from cicam_mm.utils.errors import UserError


@pytest.fixture
def root(tmp_path):
    for name in ('ant/a.png', 'ant/b.png', 'bee/c.png'):
        path = tmp_path / 'val' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    return tmp_path


def build(root, rows=None, **kwargs):
    if rows is not None:
        (root / 'boxes.csv').write_text('\n'.join(['path,x0,y0,x1,y1', *rows]))
        kwargs['box_file'] = 'boxes.csv'
    return DATASETS.build(dict(
        type='FolderLocalization', data_root=str(root), data_prefix='val', **kwargs))


def test_several_boxes_an_image(root):
    data = build(root, ['val/bee/c.png,1,2,3,4', './val/ant/a.png,0,0,30,20',
                        'val/bee/c.png,5.5,6,7,8'])
    assert data.metainfo['classes'] == ('ant', 'bee')
    infos = [data.get_data_info(i) for i in range(3)]
    assert [info['gt_label'] for info in infos] == [0, 0, 1]
    assert [[i['bbox'] for i in info['instances']] for info in infos] == [
        [[0, 0, 30, 20]], [], [[1, 2, 3, 4], [5.5, 6, 7, 8]]]
    assert infos[2]['instances'][1]['bbox_label'] == 1


def test_training_needs_no_boxes(root):
    data = build(root, pipeline=[dict(type='LoadWSOLImage'), dict(type='PackInputs')])
    assert [data.get_data_info(i)['instances'] for i in range(3)] == [[], [], []]
    assert data[0]['inputs'].shape == (3, 20, 30)


def test_testing_needs_boxes_for_all(root):
    with pytest.raises(ValueError, match=r'2 of 3 test images .* them \S+/ant/b.png, \S+/c.png;'):
        build(root, ['val/ant/a.png,1,2,3,4'], test_mode=True)
    with pytest.raises(ValueError, match=r'3 of 3 test images have no box \(box_file: None\)'):
        build(root, test_mode=True)
    boxes = [f'val/{name},0,0,9,9' for name in ('ant/a.png', 'ant/b.png', 'bee/c.png')]
    assert len(build(root, boxes, test_mode=True)) == 3


@pytest.mark.parametrize('row, message', [
    ('val/ant/z.png,1,2,3,4', r"there is no image '\S+/val/ant/z.png'"),
    ('ant/a.png,1,2,3,4', 'paths are relative to data_root'),
    ('val/ant/a.png,1,2,3', "expected 'path,x0,y0,x1,y1', found 'val/ant/a.png,1,2,3'"),
    ('val/ant/a.png,1,2,3,4,5', 'expected'),
    ('val/ant/a.png,1,2,3,four', 'expected'),
    ('val/ant/a.png,1,2,1,4', r'\[1.0, 2.0, 1.0, 4.0\] \(x0, y0, x1, y1\) has no area'),
])
def test_errors_name_file_and_line(root, row, message):
    with pytest.raises(ValueError, match=f'{root}/boxes.csv, line 3: .*{message}'):
        build(root, ['val/ant/a.png,0,0,1,1', row])


def test_missing_box_file(root):
    with pytest.raises(FileNotFoundError, match=f"'{root}/other.csv' does not exist"):
        build(root, box_file='other.csv')


def test_pipeline_without_prefix(root):
    (root / 'boxes.csv').write_text('ant/a.png,1,2,3,4\n')
    (root / 'boxes.csv').rename(root / 'val' / 'boxes.csv')
    data = FolderLocalization(data_root=str(root / 'val'), box_file='boxes.csv')
    assert data.get_data_info(0)['instances'][0]['bbox'] == [1, 2, 3, 4]


@pytest.mark.parametrize('target', ['.', '..', '../..'])
def test_links_to_parent_folders_are_refused(root, target):
    (root / 'val' / 'ant' / 'more').symlink_to(target)
    with pytest.raises(UserError, match=r'val/ant/more links to a folder above it'):
        build(root)


def test_links_to_other_folders_are_followed(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    cv2.imwrite(str(elsewhere / 'd.png'), np.zeros((20, 30, 3), np.uint8))
    (root / 'val' / 'ant' / 'more').symlink_to(elsewhere)
    assert len(build(root)) == 4
