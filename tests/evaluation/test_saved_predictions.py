import gzip
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cicam_mm.evaluation import SavePredictionsHook, read_predictions
from cicam_mm.evaluation.saved_predictions import read_index, write_sample
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


def numbers(folder):
    return [sample.sample_idx for sample in read_predictions(folder)]


def test_what_is_read_is_what_was_saved(tmp_path):
    folder, samples = tmp_path / 'new' / 'predictions', [predicted(i) for i in range(5)]
    samples[1].score_map[0] = torch.tensor([np.nan, np.inf, -np.inf, 0])
    save(folder, samples)
    for one, other in zip(samples, read_predictions(folder), strict=True):
        assert dict(one.metainfo_items()) == dict(other.metainfo_items())
        assert set(one.keys()) == set(other.keys())
        for name, value in one.items():
            found = other.get(name)
            assert type(found) is type(value)
            assert getattr(found, 'dtype', None) == getattr(value, 'dtype', None)
            np.testing.assert_array_equal(found, value)
    index = read_index(folder)
    assert index.pop('protocol')['num_images'] == 5
    assert index == dict(num_images=5, num_parts=1, classes=['a', 'b', 'c'])


def test_full_disk_leaves_earlier_predictions_and_names_the_file(tmp_path, full_disk):
    save(tmp_path, [predicted(0)])
    hook = SavePredictionsHook(str(tmp_path))
    hook.before_test(runner_of(2))
    hook.after_test_iter(None, 0, outputs=[predicted(1)])
    assert numbers(tmp_path) == [0]
    with pytest.raises(OSError) as error, full_disk(1000):
        hook.after_test_iter(None, 0, outputs=[predicted(1, side=400)])
    assert as_sentence(error.value) == f'{tmp_path}/part_0.gz was not written: File too large'
    assert sorted(os.listdir(tmp_path)) == ['part_0.gz', 'predictions.json']
    assert numbers(tmp_path) == [0]


def test_part_that_is_cut_off_or_missing_is_named(tmp_path):
    save(tmp_path, [predicted(i) for i in range(5)])
    part = tmp_path / 'part_0.gz'
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(UserError, match=r'part_0\.gz is truncated or damaged after 5 images'):
        list(read_predictions(tmp_path))  # the checksum is that of the whole part
    part.unlink()
    with pytest.raises(FileNotFoundError, match=r'part_0\.gz is missing'):
        numbers(tmp_path)


@pytest.mark.parametrize('change', ['', '{"num_parts": 1}', dict(num_parts=0), dict(classes=7)])
def test_damaged_index_is_named_once(tmp_path, change):
    index = dict(num_images=1, num_parts=1, classes=None, protocol={})
    (tmp_path / 'predictions.json').write_text(
        change if isinstance(change, str) else json.dumps(index | change))
    with pytest.raises(UserError, match=r'predictions\.json is damaged') as error:
        read_predictions(tmp_path)
    assert str(error.value).count('predictions.json') == 1


def test_reading_runs_nothing(tmp_path):
    """An array of objects is a pickle in NumPy's format: refused in writing and in reading."""
    sample = predicted(0)
    sample.set_data(dict(objects=np.array([print], dtype=object)))
    with pytest.raises(ValueError, match=r'images/0\.jpg: .*[Oo]bject arrays'):
        save(tmp_path, [sample])
    write_parts(tmp_path, [0], num_images=1)
    with gzip.open(tmp_path / 'part_0.gz', 'wb') as file:
        file.write(b'{"meta": {}, "plain": {}, "arrays": {"objects": "array"}}\n')
        np.lib.format.write_array(file, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='damaged.*type object'):
        numbers(tmp_path)


def test_only_an_image_that_pads_a_rank_is_left_out(tmp_path):
    """Three images of two ranks: the second one may repeat an image."""
    for records in [2, 2], [2, 1]:
        write_parts(tmp_path, records, num_images=3)
        assert numbers(tmp_path) == [0, 1, 2]
    for records, error in [([3, 2], 'more than the 3 images'), ([2, 3], 'more than the 3 images'),
                           ([1, 1], 'part_0.gz is truncated or damaged after 1')]:
        write_parts(tmp_path, records, num_images=3)
        with pytest.raises(ValueError, match=error):
            numbers(tmp_path)


def write_parts(folder, records, num_images):
    for rank, count in enumerate(records):
        with gzip.open(folder / f'part_{rank}.gz', 'wb') as file:
            for i in range(count):
                write_sample(file, predicted(len(records) * i + rank))
    (folder / 'predictions.json').write_text(json.dumps(dict(
        num_images=num_images, num_parts=len(records), classes=None, protocol={})))
