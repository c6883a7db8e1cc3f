import gc
import gzip
import json
import os
import tracemalloc
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cicam_mm.evaluation import SavePredictionsHook, read_predictions
from cicam_mm.evaluation.saved_predictions import read_index, write_index, write_sample
from cicam_mm.utils.errors import UserError, as_sentence


def predicted(index, side=4):
    rng = np.random.default_rng(index)
    sample = DataSample(metainfo=dict(
        sample_idx=index, img_path=f'images/{index}.jpg', img_shape=(96, 64),
        ori_shape=(100, np.int64(70)), scale_factor=(.5, .25)))
    sample.set_gt_label(index).set_pred_score(torch.rand(3)).set_pred_label(index % 3)
    sample.set_data(dict(
        score_map=torch.from_numpy(rng.random((side, side), np.float32)),
        pred_box=torch.tensor([1, 2, 3, index]),
        gt_bboxes=rng.random((index % 3, 4), np.float32),
        gt_mask=rng.integers(0, 2, (side, side), np.uint8),
        context=index))
    return sample


def runner_of(num_images):
    class Dataset:
        metainfo = dict(classes=('a', 'b', 'c'))

        def __len__(self):
            return num_images

    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='Toy', split='test')), model=dict()))
    return SimpleNamespace(test_dataloader=SimpleNamespace(dataset=Dataset()), cfg=cfg)


def save(folder, samples, num_images=None):
    runner = runner_of(num_images or len(samples))
    hook = SavePredictionsHook(str(folder))
    hook.before_test(runner)
    for batch, i in enumerate(range(0, len(samples), 2)):
        hook.after_test_iter(runner, batch, outputs=samples[i:i + 2])
    hook.after_test_epoch(runner)


def assert_same(one, other):
    assert dict(one.metainfo_items()) == dict(other.metainfo_items())
    assert set(one.keys()) == set(other.keys())
    for name, value in one.items():
        found = other.get(name)
        assert type(found) is type(value)
        if isinstance(value, (torch.Tensor, np.ndarray)):
            assert found.dtype == value.dtype and found.shape == value.shape
            assert (found == value).all()
        else:
            assert found == value


def test_what_is_read_is_what_was_saved(tmp_path):
    samples = [predicted(i) for i in range(5)]
    save(tmp_path / 'new' / 'predictions', samples)
    found = list(read_predictions(tmp_path / 'new' / 'predictions'))
    assert len(found) == 5
    for one, other in zip(samples, found, strict=True):
        assert_same(one, other)
    assert read_index(tmp_path / 'new' / 'predictions') == dict(
        num_images=5, num_parts=1, classes=['a', 'b', 'c'], protocol=dict(
            views='not told by the config', boxes='in pixels of the original image',
            localizer="the head's defaults", images='Toy, test',
                criteria='not told by the config', **{'number of images': '5'}))


def test_values_that_are_not_finite_survive(tmp_path):
    sample = predicted(1)
    sample.score_map[0] = torch.tensor([np.nan, np.inf, -np.inf, 0])
    save(tmp_path, [sample])
    found, = read_predictions(tmp_path)
    torch.testing.assert_close(found.score_map, sample.score_map, equal_nan=True)


def test_parts_of_ranks_are_read_in_turn(tmp_path, monkeypatch):
    """Of five images rank 0 of 2 has 0, 2, 4; rank 1 has 1, 3 and once more 0."""
    for rank, indices in ((1, (1, 3, 0)), (0, (0, 2, 4))):
        monkeypatch.setattr('cicam_mm.evaluation.saved_predictions.get_rank', lambda: rank)  # noqa: B023
        monkeypatch.setattr('cicam_mm.evaluation.saved_predictions.get_world_size', lambda: 2)
        save(tmp_path, [predicted(i) for i in indices], num_images=5)
    assert [sample.sample_idx for sample in read_predictions(tmp_path)] == [0, 1, 2, 3, 4]


def interrupted_test(folder):
    hook = SavePredictionsHook(str(folder))
    hook.before_test(runner_of(2))
    hook.after_test_iter(None, 0, outputs=[predicted(1)])
    return hook


def test_interrupted_test_leaves_no_predictions_but_earlier_ones(tmp_path):
    interrupted = interrupted_test(tmp_path)  # noqa: F841  its files stay open
    with pytest.raises(FileNotFoundError, match='no finished predictions.*--dump'):
        read_predictions(tmp_path)
    save(tmp_path, [predicted(0)])
    interrupted = interrupted_test(tmp_path)  # noqa: F841
    assert [sample.sample_idx for sample in read_predictions(tmp_path)] == [0]


def test_a_full_disk_leaves_the_earlier_ones_and_names_the_file(tmp_path, full_disk):
    save(tmp_path, [predicted(0)])
    hook = interrupted_test(tmp_path)
    with pytest.raises(OSError) as error, full_disk(1000):
        hook.after_test_iter(None, 0, outputs=[predicted(1, side=400)])
    assert as_sentence(error.value) == f'{tmp_path}/part_0.gz was not written: File too large'
    assert sorted(os.listdir(tmp_path)) == ['part_0.gz', 'predictions.json']
    assert [sample.sample_idx for sample in read_predictions(tmp_path)] == [0]


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere holds no finished predictions'):
        read_predictions(tmp_path / 'nowhere')


def test_missing_part_is_named(tmp_path):
    save(tmp_path, [predicted(0)])
    (tmp_path / 'part_0.gz').unlink()
    with pytest.raises(FileNotFoundError, match=r'part_0\.gz is missing'):
        read_predictions(tmp_path)


@pytest.mark.parametrize('size', [0, 5, 200, -9, -1])
def test_cut_off_part_is_named(tmp_path, size):
    save(tmp_path, [predicted(i) for i in range(5)])
    part = tmp_path / 'part_0.gz'
    part.write_bytes(part.read_bytes()[:size])
    with pytest.raises(ValueError, match=r'part_0\.gz is truncated or damaged after \d images'):
        list(read_predictions(tmp_path))


def test_damaged_part_is_named(tmp_path):
    save(tmp_path, [predicted(i) for i in range(5)])
    part = tmp_path / 'part_0.gz'
    whole = part.read_bytes()
    for position in range(20, len(whole), 17):  # past the name of the file
        # all bits of the byte: single ones may be padding, in which nothing is stored
        part.write_bytes(whole[:position] + bytes([whole[position] ^ 0xff]) + whole[position + 1:])
        with pytest.raises(ValueError, match=r'part_0\.gz is truncated or damaged'):
            list(read_predictions(tmp_path))


@pytest.mark.parametrize(
    'content', [b'', b'{"num_images": 1', b'[1]', b'{"num_parts": 1}', b'\xff'])
def test_damaged_index_is_named_once(tmp_path, content):
    (tmp_path / 'predictions.json').write_bytes(content)
    with pytest.raises(UserError, match=r'predictions\.json is (damaged|not UTF-8 text)') as error:
        read_predictions(tmp_path)
    assert str(error.value).count('predictions.json') == 1


@pytest.mark.parametrize('number', [2, 10**9])
def test_number_of_parts_that_is_not_that_of_the_files(tmp_path, number):
    save(tmp_path, [predicted(0)])
    write_index(tmp_path, **dict(read_index(tmp_path), num_parts=number))
    with pytest.raises(FileNotFoundError, match=r'part_1\.gz is missing'):
        read_predictions(tmp_path)


def test_a_changed_index_is_noticed(tmp_path):
    """Also where it is only the protocol or a name, by its checksum; older ones have none."""
    save(tmp_path, [predicted(0)])
    text = (tmp_path / 'predictions.json').read_text()
    for old, new in (('"a"', '"d"'), ('Toy', 'Cub'), ('"checksum": ', '"checksum": 1')):
        (tmp_path / 'predictions.json').write_text(text.replace(old, new))
        with pytest.raises(UserError, match='predictions.json is damaged .its checksum is'):
            read_index(tmp_path)
    (tmp_path / 'predictions.json').write_text(text.replace('checksum', 'other'))
    assert read_index(tmp_path)['num_images'] == 1


def test_a_part_without_line_ends(tmp_path):
    """A gigabyte of zeros in a megabyte; of it no more is read than a line may have."""
    save(tmp_path, [predicted(0)])
    packed = zlib.compressobj(1, wbits=31)
    with open(tmp_path / 'part_0.gz', 'wb') as file:
        for _ in range(260):
            file.write(packed.compress(bytes(2**20)))
        file.write(packed.flush())
    with pytest.raises(UserError, match=r'part_0\.gz is truncated or damaged after 0 images'):
        list(read_predictions(tmp_path))


def test_reading_runs_nothing(tmp_path):
    """An array of objects is a pickle in NumPy's format: refused in writing and in reading."""
    sample = predicted(0)
    sample.set_data(dict(objects=np.array([print], dtype=object)))
    with pytest.raises(ValueError, match=r'images/0\.jpg: .*[Oo]bject arrays'):
        save(tmp_path, [sample])
    with gzip.open(tmp_path / 'part_0.gz', 'wb') as file:
        header = dict(meta={}, plain={}, arrays=dict(objects='array'))
        file.write(json.dumps(header).encode() + b'\n')
        np.lib.format.write_array(file, np.array([print], dtype=object), allow_pickle=True)
    (tmp_path / 'predictions.json').write_text(
        '{"num_images":1,"num_parts":1,"classes":null,"protocol":{}}')
    with pytest.raises(ValueError, match='damaged.*type object'):
        list(read_predictions(tmp_path))


def test_value_that_cannot_be_saved_is_named(tmp_path):
    sample = predicted(0)
    sample.set_metainfo(dict(loader=print))
    with pytest.raises(ValueError, match=r'images/0\.jpg: a value of type builtin'):
        save(tmp_path, [sample])


def test_memory_does_not_grow_with_the_data_set(tmp_path):
    def note(number):
        if number % 300 == 100:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    runner, sample, held = runner_of(401), predicted(0, side=40), []
    hook = SavePredictionsHook(str(tmp_path))
    hook.before_test(runner)
    tracemalloc.start()
    try:
        for number in range(401):
            hook.after_test_iter(runner, number, outputs=[sample])
            note(number)
        hook.after_test_epoch(runner)
        for number, _ in enumerate(read_predictions(tmp_path)):
            note(number)
    finally:
        tracemalloc.stop()
    # 300 images more; a single one has 8 kB
    assert held[1] - held[0] < 30_000 and held[3] - held[2] < 30_000


@pytest.mark.parametrize('num_images', [2, 4])
def test_number_of_images_that_is_not_that_of_the_records(tmp_path, num_images):
    save(tmp_path, [predicted(i) for i in range(3)], num_images)
    with pytest.raises(ValueError, match='part_0.gz is truncated or damaged'):
        list(read_predictions(tmp_path))


@pytest.mark.parametrize('records, is_right', [([2, 2], True), ([2, 1], True), ([3, 2], False),
                                               ([2, 3], False)])
def test_only_an_image_that_fills_up_a_rank_is_left_out(tmp_path, records, is_right):
    """Three images of two ranks: the second one may repeat an image."""
    for rank, count in enumerate(records):
        with gzip.open(tmp_path / f'part_{rank}.gz', 'wb') as file:
            for i in range(count):
                write_sample(file, predicted(2 * i + rank))
    (tmp_path / 'predictions.json').write_text(
        '{"num_images":3,"num_parts":2,"classes":null,"protocol":{}}')
    if is_right:
        assert [sample.sample_idx for sample in read_predictions(tmp_path)] == [0, 1, 2]
    else:
        with pytest.raises(ValueError, match='more than the 3 images of predictions.json'):
            list(read_predictions(tmp_path))
