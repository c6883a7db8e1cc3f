import csv
import json

from cicam_mm.apis import write_predictions


def test_coco_form_and_columns(tmp_path):
    results = [
        dict(sample_idx=3, img_path='a, "b".jpg', pred_label=1, pred_class='grebe',
             pred_score=0.75, pred_box=[4, 5, 10, 25]),
        dict(sample_idx=4, img_path=None, pred_label=0, pred_score=0.5, pred_box=[0, 0, 1, 1]),
    ]
    write_predictions(tmp_path / 'new', results)
    assert json.loads((tmp_path / 'new' / 'predictions.json').read_text()) == [
        dict(image_id=3, category_id=1, bbox=[4, 5, 6, 20], score=0.75, file_name='a, "b".jpg',
             category='grebe'),
        dict(image_id=4, category_id=0, bbox=[0, 0, 1, 1], score=0.5, file_name=None),
    ]
    with open(tmp_path / 'new' / 'predictions.csv', newline='') as file:
        assert list(csv.reader(file)) == [
            ['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'],
            ['3', 'a, "b".jpg', '1', 'grebe', '0.7500', '4', '5', '10', '25'],
            ['4', '', '0', '', '0.5000', '0', '0', '1', '1'],
        ]
