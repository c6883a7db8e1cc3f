from types import SimpleNamespace

import pytest
from mmengine.config import ConfigDict
from mmpretrain.registry import DATASETS
from torch.utils.data import Subset

from cicam_mm.datasets.wrappers import (
    leaf_at,
    leaf_configs,
    leaves,
    metainfo_of,
    number_images,
    pipeline_config,
    pipelines,
)
from cicam_mm.utils.errors import UserError


def shapes(num_images, **options):
    return dict(type='ConfoundedShapes', num_images=num_images, keep_drawn=True,
                pipeline=[dict(type='PackInputs')], **options)


def concat(*configs):
    return dict(type='ConcatDataset', datasets=[*configs])


WRAPPED = {
    'none': (shapes(12), [12]),
    'concat': (concat(shapes(6), shapes(7)), [6, 7]),
    'repeat': (dict(type='RepeatDataset', times=2, dataset=shapes(6)), [6]),
    'balanced': (dict(type='ClassBalancedDataset', oversample_thr=.5, dataset=shapes(6)), [6]),
    'fold': (dict(type='KFoldDataset', num_splits=3, dataset=shapes(12)), [8]),
    'deep': (dict(type='RepeatDataset', times=2, dataset=concat(
        dict(type='ClassBalancedDataset', oversample_thr=.5, dataset=shapes(6)), shapes(7))),
        [6, 7]),
    'nested': (concat(dict(type='RepeatDataset', times=3, dataset=shapes(6)),
                      dict(type='RepeatDataset', times=1, dataset=shapes(8, seed=5))), [6, 8]),
}


@pytest.mark.parametrize('config, sizes', WRAPPED.values(), ids=WRAPPED)
def test_leaves_pipelines_and_numbers(config, sizes):
    assert [leaf['num_images'] for leaf in leaf_configs(ConfigDict(config))] == (
        [12] if config['type'] == 'KFoldDataset' else sizes)
    assert pipeline_config(ConfigDict(config)) == [dict(type='PackInputs')]
    for dataset in DATASETS.build(config), Subset(DATASETS.build(config), [3]):
        assert [*map(len, leaves(dataset))] == sizes
        assert [[type(step).__name__ for step in steps] for steps in pipelines(dataset)] == (
            [['PackInputs']] * len(sizes))
        assert len(metainfo_of(dataset)['classes']) == 6
        for _ in range(2):  # the second time changes nothing
            number_images(dataset)
        numbers = range(sum(sizes))
        for number in numbers:
            leaf, place = leaf_at(dataset, number)
            assert leaf[place]['data_samples'].sample_idx == number
        whole = dataset.dataset if isinstance(dataset, Subset) else dataset
        assert {whole[i]['data_samples'].sample_idx for i in range(len(whole))} == {*numbers}
        for number in -1, sum(sizes), 1., None:
            with pytest.raises(UserError, match=f'there is no image {number} in a data set of'):
                leaf_at(dataset, number)


def test_parts_with_other_classes_are_refused():
    parts = concat(shapes(6), shapes(36, label='scene'))
    with pytest.raises(UserError, match='part 2 of a data set has other classes than part 1'):
        metainfo_of(DATASETS.build(dict(parts, ignore_keys=['classes'])))


def test_data_sets_without_a_pipeline_have_none():
    dataset = SimpleNamespace(dataset=SimpleNamespace())
    assert pipelines(dataset) == [] and metainfo_of(dataset) == {}


def test_different_pipelines_cannot_prepare_other_images():
    other = dict(shapes(6), pipeline=[])
    with pytest.raises(UserError, match='have different pipelines'):
        pipeline_config(ConfigDict(concat(shapes(6), other)))
    with pytest.raises(UserError, match='the test set of the config has no pipeline'):
        pipeline_config(ConfigDict(concat()))
