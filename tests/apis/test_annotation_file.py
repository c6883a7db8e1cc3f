import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import CocoDetection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator

from cicam_mm.apis.outputs import write_annotations

NAMES = ('wren', 'kite')


def result(number, box, label=0, score=0.5, **more):
    return dict(sample_idx=number, img_path=f'{number}.png', ori_shape=(40, 60), pred_label=label,
                pred_score=score, pred_box=box, **more)


def test_content(tmp_path):
    results = [
        result(3, [4, 5, 10, 25], 1, 0.75),
        result(5, [0, 0, 60, 40], 0, 0.25),  # scores too little
        result(6, [7, 7, 7, 9]),             # no area
        result(8, [0, 1, 2, 3]),
    ]
    assert write_annotations(tmp_path / 'a.json', results, NAMES, min_score=0.5) == 2
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(
        images=[dict(id=3, file_name='3.png', width=60, height=40),
                dict(id=8, file_name='8.png', width=60, height=40)],
        annotations=[
            dict(id=1, image_id=3, category_id=2, bbox=[4, 5, 6, 20], area=120, iscrowd=0,
                 score=0.75),
            dict(id=2, image_id=8, category_id=1, bbox=[0, 1, 2, 2], area=4, iscrowd=0,
                 score=0.5)],
        categories=[dict(id=1, name='wren'), dict(id=2, name='kite')])


def test_best_classes(tmp_path):
    best = dict(top_labels=[1, 0], top_scores=[0.6, 0.3],
                top_boxes=[[4, 5, 10, 25], [0, 0, 8, 8]])
    results = [result(0, [4, 5, 10, 25], 1, 0.6, **best)]
    write_annotations(tmp_path / 'a.json', results, NAMES)
    written = json.loads((tmp_path / 'a.json').read_text())
    assert [(a['category_id'], a['bbox'], a['score']) for a in written['annotations']] == [
        (2, [4, 5, 6, 20], 0.6), (1, [0, 0, 8, 8], 0.3)]
    assert len(written['images']) == 1
    assert write_annotations(tmp_path / 'a.json', results, NAMES, 0.5) == 1


def test_no_box_at_all(tmp_path):
    assert write_annotations(tmp_path / 'a.json', [], NAMES) == 0
    assert COCO(tmp_path / 'a.json').getImgIds() == []


@pytest.fixture
def data(tmp_path):
    """White rectangles on black as images, with their annotations."""
    results = []
    for number, (label, box) in enumerate([(0, [4, 5, 30, 25]), (1, [10, 10, 50, 40])] * 2):
        image = np.zeros((40, 60, 3), np.uint8)
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = 255
        Image.fromarray(image).save(tmp_path / f'{number}.png')
        results.append(result(number, box, label))
    write_annotations(tmp_path / 'annotations.json', results, NAMES)
    return tmp_path


def test_pycocotools(data):
    coco = COCO(data / 'annotations.json')
    assert coco.getCatIds(catNms=['kite']) == [2]
    assert coco.getImgIds(catIds=[2]) == [1, 3]
    assert coco.loadAnns(coco.getAnnIds(imgIds=[1]))[0]['bbox'] == [10, 10, 40, 30]


def test_a_detector_learns_from_it_as_it_is(data):
    """The loss of torchvision's Faster R-CNN falls; its classes begin behind the background."""
    images, targets = [], []
    for image, annotations in CocoDetection(data, data / 'annotations.json'):
        images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255)
        boxes = torch.tensor([a['bbox'] for a in annotations], dtype=torch.float)
        boxes[:, 2:] += boxes[:, :2]
        targets.append(dict(
            boxes=boxes, labels=torch.tensor([a['category_id'] for a in annotations])))
    assert [target['labels'].tolist() for target in targets] == [[1], [2], [1], [2]]

    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, stride=4, padding=1), torch.nn.ReLU())
    backbone.out_channels = 16
    detector = FasterRCNN(
        backbone, num_classes=1 + len(NAMES), min_size=40, max_size=60,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((0.5, 1.0),)),
        rpn_pre_nms_top_n_train=50, rpn_post_nms_top_n_train=20)
    optimizer = torch.optim.Adam(detector.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = sum(detector(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
