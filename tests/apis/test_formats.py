import json
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from cicam_mm.apis import write_results
from cicam_mm.apis.coco import encode_rle

NAMES = ('wren', 'kite: "red"')


def test_rle_by_hand():
    mask = np.array([[0, 1, 1],
                     [1, 1, 0]])  # in columns 0 1, 1 1, 1 0
    assert encode_rle(mask) == dict(size=[2, 3], counts='141', area=4)
    assert encode_rle(1 - mask) == dict(size=[2, 3], counts='0140', area=2)  # 0, 1, 4, 1 - 1


@pytest.mark.parametrize('share', [0, .02, .5, .98, 1])
def test_rle_as_pycocotools_writes_and_reads_it(share):
    mask = np.random.default_rng(0).random((61, 83)) < share
    mask[10:50, 20:70] ^= True  # long runs, negative differences
    rle = encode_rle(mask)
    expected = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    assert rle == dict(size=[61, 83], counts=expected['counts'].decode(), area=mask.sum())


@pytest.fixture
def images():
    mask = np.zeros((40, 60), bool)
    mask[5:25, 4:10] = True
    mask[5, 4] = False
    common = dict(ori_shape=(40, 60), pred_label=1, pred_score=.75)
    return [
        dict(common, sample_idx=0, img_path='a b/images/0.1.jpg', pred_box=[4, 5, 10, 25],
             instances=[
            dict(box=[4, 5, 10, 25], mask=encode_rle(mask)),
            dict(box=[30, 0, 60, 40], mask=encode_rle(~mask))]),
        dict(common, sample_idx=1, img_path='../c\x01.png', pred_box=[0, 0, 60, 40], pred_label=0),
        dict(common, sample_idx=2, img_path='low.png', pred_box=[0, 0, 60, 40], pred_score=.1),
        dict(common, sample_idx=3, img_path='s3://x/y.png', pred_box=[1, 1, 1, 9]),  # no area
    ]


def test_instances_in_coco_and_tables(images, tmp_path):
    numbers = write_results(tmp_path, images, NAMES, min_score=.5)
    assert numbers == dict(localized=4, left_out=0, boxes=3)
    coco = COCO(tmp_path / 'annotations.json')
    first, second, plain = coco.loadAnns(coco.getAnnIds())
    assert (first['bbox'], first['area']) == ([4, 5, 6, 20], 6 * 20 - 1)
    assert (second['bbox'], second['area']) == ([30, 0, 30, 40], 40 * 60 - 6 * 20 + 1)
    assert 'segmentation' not in plain and plain['area'] == 40 * 60
    assert coco.annToMask(first)[5, 4:6].tolist() == [0, 1]
    found = coco.loadRes(json.loads((tmp_path / 'predictions.json').read_text())[:2])
    assert [found.annToMask(each).sum() for each in found.loadAnns([1, 2])] == [119, 2281]
    rows = (tmp_path / 'predictions.csv').read_text().splitlines()
    assert [row[-10:] for row in rows[1:3]] == ['4,5,10,25'.rjust(10, ','), '30,0,60,40']
    assert not {'yolo', 'voc', 'labelstudio.json'} & {path.name for path in tmp_path.iterdir()}


def test_files_of_other_programs(images, tmp_path):
    write_results(tmp_path, images, NAMES, .5, ('yolo', 'voc', 'labelstudio'))
    yolo = tmp_path / 'yolo'
    assert {str(path.relative_to(yolo)) for path in yolo.rglob('*.*')} == {
        'classes.txt', 'data.yaml', 'labels/a b/0.1.txt', 'labels/up/c\x01.txt'}
    assert (yolo / 'labels' / 'a b' / '0.1.txt').read_text() == (
        '1 0.116667 0.375000 0.100000 0.500000\n'  # 7 of 60, 15 of 40, 6 of 60, 20 of 40
        '1 0.750000 0.500000 0.500000 1.000000\n')
    assert (yolo / 'classes.txt').read_text().splitlines() == [*NAMES]
    assert yaml.safe_load((yolo / 'data.yaml').read_text()) == dict(
        train='images', val='images', names=dict(enumerate(NAMES)))

    tree = ElementTree.parse(tmp_path / 'voc' / 'a b' / '0.1.xml').getroot()
    assert [each.findtext('name') for each in tree.iter('object')] == [NAMES[1]] * 2
    assert [int(each.text) for each in tree.find('size')] == [60, 40, 3]
    assert [int(each.text) for each in tree.find('object/bndbox')] == [5, 6, 10, 25]
    odd = ElementTree.parse(tmp_path / 'voc' / 'up' / 'c\x01.xml').getroot()
    assert odd.findtext('path') == r'../c\x01.png'

    task, odd = json.loads((tmp_path / 'labelstudio.json').read_text())
    assert task['data'] == dict(image='/data/local-files/?d=a%20b/images/0.1.jpg')
    result = task['predictions'][0]['result'][0]
    assert (result['original_width'], result['original_height']) == (60, 40)
    value = result['value']
    assert [value[key] for key in ('x', 'y', 'width', 'height')] == pytest.approx(
        [100 * 4 / 60, 12.5, 10, 50])
    assert value['rectanglelabels'] == [NAMES[1]]
    assert odd['predictions'][0]['result'][0]['value']['rectanglelabels'] == ['wren']

    write_results(tmp_path, images, NAMES)
    assert not (tmp_path / 'labelstudio.json').exists()  # of other boxes
