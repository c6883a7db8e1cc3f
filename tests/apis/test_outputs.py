import csv
import json
import os

from pyarrow import parquet
from pycocotools.coco import COCO

from cicam_mm.apis import outputs, write_results

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


def test_results_of_the_inferencer_are_files_at_once(inferencer, images, tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    results = inferencer([images / '00.png', tmp_path / 'text.png', images / '01.png'],
                         skip_unreadable=True)
    assert write_results(tmp_path, results, inferencer.classes) == dict(
        localized=2, left_out=1, boxes=2)
    coco = COCO(tmp_path / 'annotations.json')
    assert {each['image_id'] for each in coco.loadAnns(coco.getAnnIds())} == {0, 2}
