"""Files that are damaged at random: the same result as before, or one sentence.

Where a file carries checksums, any of its bytes may change. Texts that people write have none:
there damage is what disks and interrupted copies leave, zeros, bytes that are not text and files
that were cut off.
"""
import gzip
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from cicam_mm.checkpoints.loading import load_checkpoint
from cicam_mm.datasets import CUBLocalization
from cicam_mm.evaluation.saved_predictions import read_index, read_predictions, write_sample
from cicam_mm.utils.errors import as_sentence

pytestmark = pytest.mark.stack
CUB = {
    'images.txt': '1 a/x.jpg\n2 a/y.jpg\n3 b/z.jpg\n', 'classes.txt': '1 a\n2 b\n',
    'image_class_labels.txt': '1 1\n2 1\n3 2\n', 'train_test_split.txt': '1 0\n2 1\n3 0\n',
    'bounding_boxes.txt': '1 1.0 2.0 30.0 40.0\n2 1.0 2.0 30.0 40.0\n3 5.0 6.0 7.0 8.0\n'}
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


def write_lists(folder):
    for name, text in CUB.items():
        (folder / name).write_text(text)


def read_lists(folder):
    data = CUBLocalization(
        str(folder), 'test', test_mode=True, serialize_data=False)  # which would collect garbage
    return [data.get_data_info(i) for i in range(len(data))]


KINDS = {'checkpoint': (write_checkpoint, read_checkpoint),
         'predictions': (write_predictions, read_saved), 'lists': (write_lists, read_lists)}
CHECKED = '.pth', '.gz'  # byte by byte


@st.composite
def damages(draw, name, content):
    """The damaged content of a file."""
    position = draw(st.integers(0, len(content) - 1))
    if draw(st.booleans()):
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
        path = data.draw(st.sampled_from(sorted(folder.iterdir())))
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
