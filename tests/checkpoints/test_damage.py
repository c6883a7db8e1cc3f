"""Files that are damaged at random: the same result as before, or one sentence.

Where a file carries checksums, any of its bytes may change. Texts that people write have none:
there damage is what disks and interrupted copies leave, zeros, bytes that are not text and files
that were cut off.
"""
import gzip
import itertools
import shutil

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
    """The results of a run that continues there."""
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


KINDS = {'checkpoint': (write_checkpoint, read_checkpoint),
         'predictions': (write_predictions, read_saved),
         'unfinished': (write_unfinished, read_resumed),
         'lists': (write_lists, read_lists), 'run': (write_run, read_run)}
CHECKED = '.pth', '.gz', '.jsonl'  # byte by byte
MAY_BE_SHORTER = 'config.py', 'scalars.json', 'curve.csv'  # code, and logs that were interrupted


@st.composite
def damages(draw, name, content):
    """The damaged content of a file."""
    position = draw(st.integers(0, len(content) - 1))
    if not name.endswith(MAY_BE_SHORTER) and draw(st.booleans()):
        return content[:position]
    length = draw(st.integers(1, 16))
    noise = draw(st.binary(min_size=length, max_size=length)) if name.endswith(CHECKED) else (
        draw(st.sampled_from([b'\0', b'\xff', b'\x80'])) * length)
    return content[:position] + noise + content[position + length:]


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('kind', KINDS)
def test_equal_or_one_sentence(kind, tmp_path, bounded_memory):
    write, read = KINDS[kind]

    @settings(max_examples=50, derandomize=True, database=None, deadline=2000)
    @given(st.data())
    def damage(data):
        folder = tmp_path / str(next(FOLDERS))
        folder.mkdir()
        write(folder)
        expected = read(folder)
        shutil.rmtree(folder)  # a continued run has changed it
        folder.mkdir()
        write(folder)
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                       if path.is_file() and path.stat().st_size)
        path = folder / data.draw(st.sampled_from(names))
        path.write_bytes(data.draw(damages(path.name, path.read_bytes())))
        try:
            with bounded_memory(2**30):
                found = read(folder)
        except Exception as error:
            sentence = as_sentence(error)
            assert sentence is not None and not isinstance(error, MemoryError), repr(error)
            assert sentence.isprintable()
        else:
            assert found == expected

    damage()
