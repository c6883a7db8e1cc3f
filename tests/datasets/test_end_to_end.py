"""From files in the official layout through the pipeline of the config to the metric.

The paths are those of the configs. The network is replaced by maps of 224 x 224 pixels, the size
of its input, so that every result can be worked out by hand.
"""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmpretrain.registry import DATASETS

import cicam_mm  # noqa: F401
from cicam_lite import get_box_rule
from cicam_mm.localization import find_boxes

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(files):
    """Writes texts, and images (height, width) or (height, width, 3) given as arrays."""
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            cv2.imwrite(name, content)


def picture(height, width):
    return np.full((height, width, 3), 99, np.uint8)


def block(x0, y0, x1, y1, value=1., base=None):
    score_map = np.zeros((224, 224)) if base is None else base.copy()
    score_map[y0:y1, x0:x1] = value
    return score_map


def evaluate(name, predictions):
    """The metrics of a config, given a map and whether the class is right for every image."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    data, evaluator = DATASETS.build(cfg.test_dataloader.dataset), Evaluator(cfg.test_evaluator)
    assert len(data) == len(predictions)
    localizer = cfg.model.head.localizer
    for i, (score_map, is_right) in enumerate(predictions):
        sample = data[i]['data_samples']
        label = sample.gt_label
        score_map = torch.from_numpy(score_map).float()
        boxes = torch.from_numpy(find_boxes(
            score_map[None].numpy(), get_box_rule(localizer.box_rule), localizer.theta,
            sample.img_shape, sample.ori_shape))
        others = label + torch.arange(1, 6)
        top_labels = torch.cat([label, others])[:5] if is_right else others
        sample.set_data(dict(
            top_labels=top_labels, pred_label=top_labels[:1], pred_boxes=boxes.repeat(5, 1),
            pred_box=boxes[0], label_box=boxes[0], label_map=score_map, score_map=score_map))
        evaluator.process([sample])
    return evaluator.evaluate(len(data))


UPPER_HALF = block(0, 0, 224, 112)


def lists(split, **columns):
    """The four lists of a split; ``columns`` are lines of rows without the image's path."""
    return {f'{split}/{name}.txt': '\n'.join(rows) for name, rows in columns.items()}


def test_cub_and_cubv2_through_the_lists():
    write(lists(
        'data/wsol/metadata/CUB/test',
        image_ids=['001.A/x.jpg', '002.B/y.jpg'],
        class_labels=['001.A/x.jpg,0', '002.B/y.jpg,1'],
        image_sizes=['001.A/x.jpg,448,448', '002.B/y.jpg,448,224'],
        localization=['001.A/x.jpg,0,0,447,223', '002.B/y.jpg,0,0,447,223']))
    write({'data/wsol/dataset/CUB/001.A/x.jpg': picture(448, 448),
           'data/wsol/dataset/CUB/002.B/y.jpg': picture(224, 448)})
    metrics = evaluate('cicam_vgg16_cub_wsoleval', 2 * [(UPPER_HALF, True)])
    # Truths at 224 px: [0, 0, 223, 111] and [0, 0, 223, 223]; box [0, 0, 223, 112] at every
    # threshold: IoU 112 / 113 and 113 / 224 = .504.
    assert metrics['max_box_acc'] == 100
    assert [metrics[f'max_box_acc_v2_iou{iou}'] for iou in (30, 50, 70)] == [100, 100, 50]
    assert metrics['max_box_acc_v2'] == pytest.approx(250 / 3)
    # In original pixels [0, 0, 448, 224] and [0, 0, 448, 112], which is .504 of 448 x 224.
    assert (metrics['wsol/top1_loc'], metrics['wsol/top1_cls']) == (100, 100)


def test_ilsvrc_with_boxes_from_kaggle():
    root = 'data/imagenet'
    images = f'{root}/ILSVRC/Data/CLS-LOC/val'
    write({f'{root}/LOC_synset_mapping.txt': 'n01 tench\nn02 kite\n',
           f'{root}/LOC_val_solution.csv': 'ImageId,PredictionString\n'
           'v_1,n02 80 80 99 99 n02 0 0 99 49 \nv_2,n01 0 50 199 99 \n',
           f'{images}/v_1.JPEG': picture(100, 100), f'{images}/v_2.JPEG': picture(100, 200)})
    metrics = evaluate('cicam_vgg16_ilsvrc', [(UPPER_HALF, True), (UPPER_HALF, True)])
    # Box [0, 0, 100, 50]: 101 x 51 pixels around 100 x 50. [0, 0, 200, 50] misses the lower half.
    assert metrics == {'wsol/top1_cls': 100, 'wsol/top5_cls': 100, 'wsol/top1_loc': 50,
                       'wsol/top5_loc': 50, 'wsol/gt_known_loc': 50}


def test_openimages_with_masks_and_ignored_regions():
    # Quarters of x: upper left and lower left are the objects, of the upper half the rest is
    # ignored. In y the object is the right half, and nothing is ignored.
    upper_left, lower_left, right = (np.zeros((10, 8), np.uint8) for _ in range(3))
    upper_left[:5, :4] = lower_left[5:, :4] = right[:, 4:] = 255
    upper = np.array([[255, 255], [0, 0]], np.uint8)
    write(lists(
        'data/wsol/metadata/OpenImages/test',
        image_ids=['test/a/x.jpg', 'test/a/y.jpg'],
        class_labels=['test/a/x.jpg,0', 'test/a/y.jpg,99'],
        localization=['test/a/x.jpg,test/a/x_1.png,test/a/x_ignore.png',
                      'test/a/x.jpg,test/a/x_2.png,', 'test/a/y.jpg,test/a/y_1.png,']))
    write({f'data/wsol/dataset/OpenImages/test/a/{name}': image for name, image in {
        'x.jpg': picture(20, 40), 'x_1.png': upper_left, 'x_2.png': lower_left,
        'x_ignore.png': upper, 'y.jpg': picture(40, 20), 'y_1.png': right}.items()})
    x = block(0, 112, 112, 224, 1., block(112, 0, 224, 112, .9, block(0, 0, 112, 112, .5)))
    y = block(0, 0, 112, 224)
    metrics = evaluate('cicam_vgg16_openimages', [(x, True), (y, False)])
    # In quarters, object and context: 1 and 2 at score 1, 1 and 0 at .5, 2 and 1 at 0. So
    # precision 1/3, 2/4, 4/7 in steps of recall of 1/4, 1/4, 2/4.
    assert metrics['pxap'] == pytest.approx(100 * (1 / 3 / 4 + 2 / 4 / 4 + 4 / 7 / 2))
    # x: all that counts lies on objects; y: all on context
    assert metrics['localization_errors/context_mass'] == 50
    # x: the mean .6 leaves lower left and upper right, equal boxes, of which the first is ignored
    assert metrics['localization_errors/others'] == 50
    assert metrics['localization_errors/classification_error'] == 50


def test_cub_with_segmentation_masks():
    root = 'data/CUB_200_2011'
    mask = np.zeros((50, 100), np.uint8)
    mask[:, :50], mask[:, 50:75] = 255, 102  # marked by five and by two of five
    write({f'{root}/images.txt': '1 001.A/x.jpg\n', f'{root}/classes.txt': '1 001.A\n',
           f'{root}/image_class_labels.txt': '1 1\n', f'{root}/train_test_split.txt': '1 0\n',
           f'{root}/bounding_boxes.txt': '1 0 0 50 50\n',
           f'{root}/images/001.A/x.jpg': picture(50, 100),
           f'{root}/segmentations/001.A/x.png': mask})
    metrics = evaluate('cicam_vgg16_cub_masks', [(UPPER_HALF, True)])
    # of the upper half one half is object, as of everything
    assert metrics['pxap'] == 50
    assert metrics['localization_errors/context_mass'] == 50
    # box [0, 0, 100, 25] and truth [0, 0, 50, 50] share 51 x 26 of 101 x 26 + 51 x 51 pixels;
    # more than half of the box (1326 of 2626) lies in it
    assert metrics['wsol/gt_known_loc'] == 0 and metrics['localization_errors/part'] == 100
