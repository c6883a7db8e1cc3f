import csv
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.datasets import CocoDetection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator

from cicam_mm.apis import outputs, write_results
from cicam_mm.utils.errors import UserError

NAMES = ('wren', 'kite')


def result(number, box, label=0, score=0.5, **more):
    return dict(sample_idx=number, img_path=f'{number}.png', ori_shape=(40, 60), pred_label=label,
                pred_score=score, pred_box=box, **more)


def test_tables_and_coco_files(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, 'ROW_GROUP', 2)
    latin = os.fsdecode(b'latin \xfc.png')
    results = [
        result(0, [4, 5, 10, 25], 1, .75, pred_class='kite'),
        dict(sample_idx=1, img_path='b.txt', left_out='not an image'),
        dict(result(2, [0, 0, 60, 40], 0, .25), img_path='a, "b".jpg'),
        dict(result(3, [7, 7, 7, 9]), img_path=latin),  # no area
    ]
    assert write_results(tmp_path / 'new', results, NAMES, min_score=.5) == dict(
        localized=3, left_out=1, boxes=1)

    def read(name):
        return json.loads((tmp_path / 'new' / name).read_text())

    assert read('predictions.json') == [
        dict(image_id=0, category_id=2, bbox=[4, 5, 6, 20], score=.75, file_name='0.png',
             category='kite'),
        dict(image_id=2, category_id=1, bbox=[0, 0, 60, 40], score=.25, file_name='a, "b".jpg'),
        dict(image_id=3, category_id=1, bbox=[7, 7, 0, 2], score=.5, file_name=latin)]
    assert read('annotations.json') == dict(
        info={}, licenses=[],
        images=[dict(id=0, file_name='0.png', width=60, height=40)],
        annotations=[dict(id=1, image_id=0, category_id=2, bbox=[4, 5, 6, 20], area=120,
                          iscrowd=0, score=.75)],
        categories=[dict(id=1, name='wren'), dict(id=2, name='kite')])
    assert read('left_out.json') == [
        dict(image_id=1, file_name='b.txt', reason='not an image')]
    with open(tmp_path / 'new' / 'predictions.csv', newline='', errors='surrogateescape') as file:
        assert list(csv.reader(file)) == [
            ['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'],
            ['0', '0.png', '1', 'kite', '0.7500', '4', '5', '10', '25'],
            ['2', 'a, "b".jpg', '0', '', '0.2500', '0', '0', '60', '40'],
            ['3', latin, '0', '', '0.5000', '7', '7', '7', '9']]
    table = parquet.ParquetFile(tmp_path / 'new' / 'predictions.parquet')
    assert table.num_row_groups == 2
    assert table.read().to_pylist()[2] == dict(
        image_id=3, file=r'latin \xfc.png', label=0, score=.5, x0=7, y0=7, x1=7, y1=9, width=60,
        height=40, **{'class': None})


def test_best_classes(tmp_path):
    best = dict(top_labels=[1, 0], top_scores=[.6, .3], top_boxes=[[4, 5, 10, 25], [0, 0, 8, 8]])
    write_results(tmp_path, [result(0, [4, 5, 10, 25], 1, .6, **best)], NAMES)
    written = json.loads((tmp_path / 'annotations.json').read_text())
    assert [(a['category_id'], a['bbox'], a['score']) for a in written['annotations']] == [
        (2, [4, 5, 6, 20], .6), (1, [0, 0, 8, 8], .3)]
    assert len(written['images']) == 1


def test_an_error_leaves_earlier_files(tmp_path):
    write_results(tmp_path, [result(0, [4, 5, 10, 25])], NAMES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def images():
        yield result(0, [0, 0, 9, 9])
        raise UserError('interrupted')

    with pytest.raises(UserError):
        write_results(tmp_path, images(), NAMES)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


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
    write_results(tmp_path, results, NAMES)
    return tmp_path


def test_pycocotools(data):
    coco = COCO(data / 'annotations.json')
    assert coco.getCatIds(catNms=['kite']) == [2]
    assert coco.getImgIds(catIds=[2]) == [1, 3]
    assert coco.loadAnns(coco.getAnnIds(imgIds=[1]))[0]['bbox'] == [10, 10, 40, 30]
    found = coco.loadRes(str(data / 'predictions.json'))
    evaluation = COCOeval(coco, found, 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


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
