import math

import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.models.pool_contexts import CONTEXTS, bump

POOL = torch.tensor([[[1., 2]], [[3, 4]], [[8, 0]]])  # three classes, 1 x 2


@pytest.mark.parametrize('context, expected', [
    ('own', [[[3, 4]], [[8, 0]]]),
    ('other', [[[8, 0]], [[1, 2]]]),
    ('far', [[[8, 0]], [[1, 2]]]),
    ('mean', [[[4, 2]], [[4, 2]]]),
    ('bump', [[[0, 0]], [[0, 0]]]),  # two cells lie equally far from the middle
    ('ones', [[[1, 1]], [[1, 1]]]),
    ('zeros', [[[0, 0]], [[0, 0]]]),
])
def test_contexts_by_hand(context, expected):
    assert CONTEXTS[context](POOL, torch.tensor([1, 2])).tolist() == expected


def test_bump_is_a_gaussian_with_mean_0_and_deviation_1():
    height, width = 5, 4
    values = [[math.exp(-8 * (((i + .5) / 5 - .5)**2 + ((j + .5) / 4 - .5)**2)) for j in range(4)]
              for i in range(5)]
    mean = sum(map(sum, values)) / 20
    deviation = math.sqrt(sum((v - mean)**2 for row in values for v in row) / 20)
    expected = [[(v - mean) / deviation for v in row] for row in values]
    torch.testing.assert_close(bump(height, width), torch.tensor(expected))


def enhance_as_printed(features, classes, read, weight, bias):
    """Eq. 8, number by number, with the context that ``read`` names for a class."""
    expected = torch.empty_like(features)
    for image, k in enumerate(classes.tolist()):
        for channel in range(features.shape[1]):
            attention = weight[channel, k, 0, 0] * read(k)
            if bias is not None:
                attention = attention + bias[channel]
            expected[image, channel] = features[image, channel] * (1 + attention)
    return expected


READ = dict(
    own=lambda pool, k: pool[k],
    other=lambda pool, k: pool[k + 1 if k < 3 else 0],
    mean=lambda pool, k: (pool[0] + pool[1] + pool[2] + pool[3]) / 4,
    bump=lambda pool, k: bump(5, 6),
    ones=lambda pool, k: 1.,
    zeros=lambda pool, k: 0.)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('context', CONTEXTS)
def test_enhance_with_each_context(context, bias):
    pool = MODELS.build(dict(type='CausalContextPool', num_classes=4, channels=3, size=(5, 6),
                             context=context, bias=bias))
    pool.pool.normal_()
    features, classes = torch.randn(4, 3, 5, 6), torch.tensor([1, 3, 0, 1])
    projection = pool.projection
    torch.testing.assert_close(pool.enhance(features, classes), enhance_as_printed(
        features, classes, lambda k: READ[context](pool.pool, k), projection.weight,
        projection.bias))


@pytest.mark.parametrize('options, training, testing', [
    (dict(), 'own', 'own'),
    (dict(context='mean'), 'mean', 'mean'),
    (dict(test_context='zeros'), 'own', 'zeros'),  # the pool in training only
    (dict(context='zeros', test_context='own'), 'zeros', 'own'),  # in testing only
])
def test_context_in_training_and_testing(options, training, testing):
    pool = MODELS.build(dict(type='CausalContextPool', num_classes=4, channels=3, size=(5, 6),
                             **options))
    pool.pool.normal_()
    features, classes = torch.randn(2, 3, 5, 6), torch.tensor([1, 3])
    for mode, context in ((True, training), (False, testing)):
        torch.testing.assert_close(
            pool.train(mode).enhance(features, classes), enhance_as_printed(
                features, classes, lambda k, name=context: READ[name](pool.pool, k),
                pool.projection.weight, pool.projection.bias))


@pytest.mark.parametrize('context', CONTEXTS)
def test_every_control_feeds_the_pool_and_trains_every_parameter(context):
    """So that distributed training needs no find_unused_parameters."""
    pool = MODELS.build(dict(type='CausalContextPool', num_classes=4, channels=3, size=(5, 6),
                             context=context))
    pool.has_updater = True
    classes = torch.tensor([2, 0])
    pool.record(torch.randn(2, 5, 6), classes, classes)
    pool.update(*pool.take_pending())
    assert pool.pool.flatten(1).any(dim=1).tolist() == [True, False, True, False]
    pool.enhance(torch.randn(2, 3, 5, 6), classes).sum().backward()
    assert all(parameter.grad is not None for parameter in pool.parameters())
