import os

from pyarrow import parquet

from cicam_mm.apis import outputs as parquet_file
from cicam_mm.apis.outputs import write_parquet


def result(number, name):
    return dict(sample_idx=number, img_path=name, ori_shape=(40, 60), pred_label=2,
                pred_class='wren', pred_score=0.75, pred_box=[4, 5, 10, 25])


def test_table(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_file, 'ROW_GROUP', 2)
    names = ['a.png', 'two\nlines.png', os.fsdecode(b'latin \xfc.png')]
    write_parquet(tmp_path / 'a.parquet', [result(*each) for each in enumerate(names)])
    table = parquet.read_table(tmp_path / 'a.parquet')
    assert table.to_pylist() == [
        dict(image_id=number, file=name, label=2, score=0.75, x0=4, y0=5, x1=10, y1=25, width=60,
             height=40, **{'class': 'wren'})
        for number, name in enumerate(['a.png', 'two\nlines.png', r'latin \xfc.png'])]
    assert parquet.ParquetFile(tmp_path / 'a.parquet').num_row_groups == 2


def test_no_images(tmp_path):
    write_parquet(tmp_path / 'a.parquet', [])
    assert parquet.read_table(tmp_path / 'a.parquet').num_rows == 0
