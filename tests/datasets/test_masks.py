import os

import cv2
import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS


@pytest.fixture
def write(tmp_path):

    def write(name, grey):
        cv2.imwrite(str(tmp_path / name), np.array(grey, np.uint8))
        return str(tmp_path / name)

    return write


def load(masks, ignored=None, img_shape=(2, 4), ori_shape=(20, 40), **kwargs):
    results = dict(img_path='a.jpg', img_shape=img_shape, ori_shape=ori_shape, ignore_path=ignored,
                   instances=[dict(mask_path=mask) for mask in masks])
    return TRANSFORMS.build(dict(type='LoadWSOLMask', **kwargs))(results)


def test_union_of_the_objects_wins_over_what_is_ignored(write):
    results = load([write('a.png', [[255, 0, 0, 0], [0, 0, 0, 0]]),
                    write('b.png', [[255, 0, 0, 0], [0, 1, 0, 0]])],
                   write('i.png', [[255, 0, 0, 255], [0, 255, 255, 0]]))
    assert results['gt_mask'].tolist() == [[1, 0, 0, 255], [0, 1, 255, 0]]
    assert results['gt_mask'].dtype == np.uint8 and 'gt_bboxes' not in results


def test_each_file_is_resized_on_its_own_by_nearest_neighbour(write):
    # of six columns OpenCV takes 0, 1, 3 and 4 for four; of two each twice
    results = load([write('a.png', [[0, 9, 9, 0, 0, 9]]), write('b.png', [[0], [9]])],
                   write('i.png', [[0, 255], [0, 255]]))
    assert results['gt_mask'].tolist() == [[0, 1, 255, 255], [1, 1, 1, 1]]


def test_threshold(write):
    mask = write('a.png', [[0, 51, 102, 153], [204, 255, 127, 128]])
    assert load([mask])['gt_mask'].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert load([mask], threshold=127)['gt_mask'].tolist() == [[0, 0, 0, 1], [1, 1, 0, 1]]


def test_boxes_of_the_objects_in_pixels_of_the_original_image(write):
    # masks of 2 x 4 of an image of 20 x 40 pixels (height x width)
    results = load([write('a.png', [[0, 1, 1, 0], [0, 0, 1, 0]]), write('b.png', 4 * [[0] * 8]),
                    write('c.png', 4 * [7 * [0] + [1]])], with_bbox=True)
    assert results['gt_bboxes'].dtype == np.float32
    assert results['gt_bboxes'].tolist() == [[10, 0, 30, 20], [35, 0, 40, 20]]  # b is empty


def test_without_objects_everything_is_ignored_and_without_object_pixels_context(write):
    for masks, value in ([], 255), ([write('a.png', [[0, 0], [0, 0]])], 0):
        results = load(masks, with_bbox=True)
        assert (results['gt_mask'] == value).all() and results['gt_bboxes'].shape == (0, 4)


def test_what_cannot_be_read_is_named(write, tmp_path):
    mask = write('a.png', [[0, 255, 0, 0]])
    assert load([mask], max_pixels=4)['gt_mask'].any()
    with pytest.raises(OSError, match=f"'{mask}' cannot be read: it has 4 x 1 pixels, more than "
                       'max_pixels=3 allows'):
        load([mask], max_pixels=3)
    os.mkfifo(tmp_path / 'pipe.png')
    with open(tmp_path / 'sparse.png', 'wb') as file:
        file.truncate(2**40)
    (tmp_path / 'text.png').write_text('<html>')
    for name, reason in (('pipe', 'is not a regular file'), ('sparse', '1,099,511,627,776 bytes'),
                         ('text', 'not an image')):
        with pytest.raises(OSError, match=f"'.*{name}.png' cannot be read: .*{reason}"):
            load([mask], str(tmp_path / f'{name}.png'))
    with pytest.raises(ValueError, match="Image 'a.jpg' has no mask to load"):
        load([None])
