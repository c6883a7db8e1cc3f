import csv
import json
import os

import pytest
from pyarrow import parquet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cicam_mm.apis import outputs, write_results
from cicam_mm.utils.errors import UserError

NAMES = ('wren', 'kite')
BEST = dict(top_labels=[1, 0], top_scores=[.6, .3], top_boxes=[[4, 5, 10, 25], [0, 0, 8, 8]])


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


@pytest.mark.parametrize(('more', 'top_k', 'expected'), [
    (BEST, 1, [(2, [4, 5, 6, 20], .6)]),
    (BEST, 2, [(2, [4, 5, 6, 20], .6), (1, [0, 0, 8, 8], .3)]),
    (dict(BEST, instances=[dict(box=[4, 5, 10, 25]), dict(box=[0, 0, 9, 9])]), 1,
     [(2, [4, 5, 6, 20], .6), (2, [0, 0, 9, 9], .6)])])
def test_annotations_of_an_image(tmp_path, more, top_k, expected):
    """One, of the best class, unless more classes or instances are asked for."""
    write_results(tmp_path, [result(0, [4, 5, 10, 25], 1, .6, **more)], NAMES, top_k=top_k)
    written = json.loads((tmp_path / 'annotations.json').read_text())
    assert [(a['category_id'], a['bbox'], a['score']) for a in written['annotations']] == expected
    assert len(written['images']) == 1


def test_results_of_the_inferencer_are_files_at_once(inferencer, images, tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    results = inferencer([images / '00.png', tmp_path / 'text.png', images / '01.png'],
                         skip_unreadable=True)
    assert write_results(tmp_path, results, inferencer.classes) == dict(
        localized=2, left_out=1, boxes=2)
    coco = COCO(tmp_path / 'annotations.json')
    assert {each['image_id'] for each in coco.loadAnns(coco.getAnnIds())} == {0, 2}


def test_an_error_leaves_earlier_files(tmp_path):
    write_results(tmp_path, [result(0, [4, 5, 10, 25])], NAMES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def images():
        yield result(0, [0, 0, 9, 9])
        raise UserError('interrupted')

    with pytest.raises(UserError):
        write_results(tmp_path, images(), NAMES)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pycocotools(tmp_path):
    boxes = [(0, [4, 5, 30, 25]), (1, [10, 10, 50, 40])] * 2
    write_results(tmp_path, [result(i, box, label) for i, (label, box) in enumerate(boxes)], NAMES)
    coco = COCO(tmp_path / 'annotations.json')
    assert coco.getCatIds(catNms=['kite']) == [2]
    assert coco.getImgIds(catIds=[2]) == [1, 3]
    assert coco.loadAnns(coco.getAnnIds(imgIds=[1]))[0]['bbox'] == [10, 10, 40, 30]
    evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / 'predictions.json')), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
