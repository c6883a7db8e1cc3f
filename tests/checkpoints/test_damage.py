"""Files that are damaged at random: the same result as before, or one sentence.

Where a file carries checksums, any of its bytes may change. Texts that people write have none:
there damage is what disks and interrupted copies leave, zeros, bytes that are no text and files
that were cut off, and digits that became others. A changed number is noticed where something
contradicts it; where nothing does, the result has to keep what SECURITY.md promises of the file.
"""
import gzip
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from cicam_mm.apis.batch import RunFolder, append_batch, merge_parts
from cicam_mm.apis.inputs import Record
from cicam_mm.checkpoints.loading import load_checkpoint
from cicam_mm.datasets import CUBLocalization
from cicam_mm.datasets.ilsvrc import read_xml_folder
from cicam_mm.evaluation.saved_predictions import (
    read_index,
    read_predictions,
    write_sample,
)
from cicam_mm.sweep.finished_run import FinishedRun
from cicam_mm.utils.errors import as_sentence

pytestmark = pytest.mark.stack
CUB = {
    'images.txt': '1 a/x.jpg\n2 a/y.jpg\n3 b/z.jpg\n', 'classes.txt': '1 a\n2 b\n',
    'image_class_labels.txt': '1 1\n2 1\n3 2\n', 'train_test_split.txt': '1 0\n2 1\n3 0\n',
    'bounding_boxes.txt': '1 1.0 2.0 30.0 40.0\n2 1.0 2.0 30.0 40.0\n3 5.0 6.0 7.0 8.0\n'}
XML = ('<annotation>\n<object><name>n0</name>\n<bndbox><xmin>10</xmin><ymin>20</ymin>\n'
       '<xmax>30</xmax><ymax>40</ymax></bndbox></object>\n</annotation>\n')
CONFIG = "test_dataloader = dict(dataset=dict(type='T', pipeline=[]))\nmodel = dict()\n"
FOLDERS = itertools.count()


def write_checkpoint(folder):
    torch.save(dict(state_dict=dict(weight=torch.arange(200.)), meta=dict(epoch=1)),
               folder / 'epoch_1.pth')


def read_checkpoint(folder):
    checkpoint = load_checkpoint(folder / 'epoch_1.pth')
    return checkpoint['state_dict']['weight'].tolist(), checkpoint['meta']


def write_predictions(folder):
    with open(folder / 'part_0.gz', 'wb') as file, gzip.GzipFile(
            '', 'wb', fileobj=file, mtime=0) as part:
        for index in range(3):
            sample = DataSample(metainfo=dict(sample_idx=index)).set_gt_label(index)
            sample.set_data(dict(score_map=np.eye(5, dtype=np.float32) * index))
            write_sample(part, sample)
    (folder / 'predictions.json').write_text(
        '{"num_images": 3, "num_parts": 1, "classes": ["a", "b1", "c"], "protocol": {"x": 0.25}}')


def read_saved(folder):
    return read_index(folder), [
        (sample.sample_idx, sample.gt_label.tolist(), sample.score_map.tolist())
        for sample in read_predictions(folder)]


def check_saved(found):
    """Digits in a name of a class or in the protocol."""
    index, samples = found
    assert index['num_images'] == len(samples) == 3 and index['num_parts'] == 1


RECORDS = [Record(f'{number}.png') for number in range(5)]


def found_in(batch):
    return [dict(sample_idx=batch, pred_box=[batch, 2, 30, 40], pred_score=0.75)]


def write_unfinished(folder):
    run = RunFolder(folder)
    run.begin(RECORDS, dict(config='1f5', options=dict(batch_size=1)), False)
    with run.new_part(0) as first, run.new_part(1) as second:
        for batch, part in ((0, first), (2, first), (1, second)):
            append_batch(part, batch, found_in(batch))


def read_resumed(folder):
    """What a run gives that goes on there."""
    run = RunFolder(folder)
    run.begin(RECORDS, dict(config='1f5', options=dict(batch_size=1)), True)
    with run.new_part(0) as part:
        for batch in run.remaining(5):
            append_batch(part, batch, found_in(batch))
    return run.records.read_text(), [*merge_parts(run._parts, 5)]


def write_lists(folder):
    for name, text in CUB.items():
        (folder / name).write_text(text)


def read_lists(folder):
    data = CUBLocalization(
        str(folder), 'test', test_mode=True, serialize_data=False)  # which would collect garbage
    return [data.get_data_info(i) for i in range(len(data))]


def check_lists(infos):
    names = [Path(info['img_path']).name for info in infos]
    assert len({*names}) == len(names) and {*names} <= {'x.jpg', 'y.jpg', 'z.jpg'}
    for info in infos:
        box = info['instances'][0]['bbox']
        assert info['gt_label'] in (0, 1) and np.isfinite(box).all()
        assert box[0] < box[2] and box[1] < box[3]


def write_xml(folder):
    for name in 'ab':
        (folder / f'{name}.xml').write_text(XML)


def read_xml(folder):
    return {found.image: (found.synset, found.boxes) for found in read_xml_folder(str(folder))}


def check_xml(found):
    assert found.keys() == {'a', 'b'}
    for _, ((x0, y0, x1, y1), ) in found.values():
        assert x0 <= x1 and y0 <= y1


def write_run(folder):
    (folder / '1' / 'vis_data').mkdir(parents=True)
    (folder / '1' / 'vis_data' / 'config.py').write_text(CONFIG)
    (folder / '1' / 'vis_data' / 'scalars.json').write_text('{"loss": 1.5, "iter": 10}\n' * 3)
    (folder / 'metrics.json').write_text('{"wsol/top_loc": 12.5, "protocol": {"frame": "x"}}')
    (folder / 'threshold_search').mkdir()
    (folder / 'threshold_search' / 'curve.csv').write_text(
        'map_rule,theta,top1_loc,top5_loc,gt_known_loc\nmean,0.5,6.5,7.5,8.5\n')


def read_run(folder):
    run = FinishedRun(folder)
    return run.result, run.theta_curve, run.scalars[:1], run.config.to_dict()


def check_run(found):
    result, curve, (entry, ), config = found
    assert result.metrics.keys() == {'wsol/top_loc'} and result.protocol == dict(frame='x')
    assert entry.keys() == {'loss', 'iter'} and config['model'] == {}
    assert [row['map_rule'] for row in curve] == ['mean']
    numbers = *result.metrics.values(), *entry.values(), *list(curve[0].values())[1:]
    assert np.isfinite(numbers).all()


class Kind(NamedTuple):
    """``check`` sees to what is promised where digits changed; None: that it is noticed."""
    write: Callable
    read: Callable
    check: Callable | None = None


KINDS = {'checkpoint': Kind(write_checkpoint, read_checkpoint),
         'predictions': Kind(write_predictions, read_saved, check_saved),
         'unfinished': Kind(write_unfinished, read_resumed),
         'lists': Kind(write_lists, read_lists, check_lists),
         'xml': Kind(write_xml, read_xml, check_xml),
         'run': Kind(write_run, read_run, check_run)}
CHECKED = '.pth', '.gz', '.jsonl'  # byte by byte
MAY_BE_SHORTER = 'config.py', 'scalars.json', 'curve.csv'  # code, and logs that were interrupted
DIGITS = b'0123456789'


@st.composite
def damages(draw, name, content):
    """Whether only digits have changed, and the damaged content of a file."""
    digits = [place for place, byte in enumerate(content) if byte in DIGITS]
    ways = ['noise', *(['cut'] if not name.endswith(MAY_BE_SHORTER) else []),
            *(['digits'] if digits and not name.endswith(CHECKED) else [])]
    way = draw(st.sampled_from(ways))
    if way == 'digits':
        damaged = bytearray(content)
        for place in draw(st.lists(st.sampled_from(digits), min_size=1, max_size=3)):
            damaged[place] = draw(st.sampled_from(DIGITS))
        return True, bytes(damaged)
    position = draw(st.integers(0, len(content) - 1))
    if way == 'cut':
        return False, content[:position]
    length = draw(st.integers(1, 16))
    noise = draw(st.binary(min_size=length, max_size=length)) if name.endswith(CHECKED) else (
        draw(st.sampled_from([b'\0', b'\xff', b'\x80'])) * length)
    return False, content[:position] + noise + content[position + length:]


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('kind', KINDS)
def test_equal_or_one_sentence(kind, tmp_path, bounded_memory):
    write, read, check = KINDS[kind]

    @settings(max_examples=150, derandomize=True, database=None, deadline=2000)
    @given(st.data())
    def damage(data):
        folder = tmp_path / str(next(FOLDERS))
        folder.mkdir()
        write(folder)
        expected = read(folder)
        shutil.rmtree(folder)  # a run that goes on has changed it
        folder.mkdir()
        write(folder)
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                       if path.is_file() and path.stat().st_size)
        path = folder / data.draw(st.sampled_from(names))
        only_digits, content = data.draw(damages(path.name, path.read_bytes()))
        path.write_bytes(content)
        try:
            with bounded_memory(2**30):
                found = read(folder)
        except Exception as error:
            sentence = as_sentence(error)
            assert sentence is not None and not isinstance(error, MemoryError), repr(error)
            assert sentence.isprintable()
        else:
            if only_digits and check:
                check(found)
            else:
                assert found == expected

    damage()


def test_digits_that_something_contradicts(tmp_path):
    """Of the numbers in lists those are noticed that stand in several, or count something."""
    write_lists(tmp_path)
    for name, old, new in (
            ('images.txt', '3 b', '4 b'), ('bounding_boxes.txt', '\n3 ', '\n9 '),
            ('image_class_labels.txt', '3 2', '3 7'), ('classes.txt', '2 b', '1 b'),
            ('train_test_split.txt', '1 0', '1 7'), ('bounding_boxes.txt', '7.0 8.0', '0.0 8.0')):
        (tmp_path / name).write_text(CUB[name].replace(old, new))
        with pytest.raises(ValueError, match=r'\.txt, line \d'):
            read_lists(tmp_path)
        (tmp_path / name).write_text(CUB[name])
    read_lists(tmp_path)
