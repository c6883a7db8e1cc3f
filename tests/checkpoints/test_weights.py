from collections import OrderedDict

import pytest
import torch
from torch import nn

from cicam_mm.checkpoints.weights import (
    load_all_weights,
    load_weights,
    load_weights_to_train_on,
    state_dict_of,
    weights_digest,
)


def make_model(classes=2, depth=1):
    layers = [(f'conv{i}', nn.Conv2d(3, 3, 1, bias=False)) for i in range(depth)]
    return nn.Sequential(OrderedDict([
        ('backbone', nn.Sequential(OrderedDict(layers))), ('head', nn.Linear(3, classes))]))


def test_a_checkpoint_that_fits():
    trained, model = make_model(), make_model()
    wrapped = {f'module.{key}': value for key, value in trained.state_dict().items()}
    for checkpoint in (dict(state_dict=trained.state_dict()), trained.state_dict(), wrapped):
        load_all_weights(model, checkpoint, 'a.pth')
        assert torch.equal(model.head.weight, trained.head.weight)
        nn.init.zeros_(model.head.weight)


def test_missing_unexpected_and_misshapen_weights_are_named():
    state = make_model(classes=3).state_dict()
    state['extra'] = state.pop('backbone.conv0.weight')
    with pytest.raises(ValueError) as error:
        load_all_weights(make_model(), dict(state_dict=state), 'a.pth')
    assert str(error.value) == (
        'the checkpoint a.pth does not fit the model: 1 missing (backbone.conv0.weight); '
        '1 unexpected (extra); 2 misshapen (head.weight: (3, 3) instead of (2, 3), '
        'head.bias: (3,) instead of (2,)); use the config it was trained with.')


def test_weights_that_are_not_finite_are_named():
    state = make_model().state_dict()
    state['head.weight'][1, 2] = float('nan')
    with pytest.raises(ValueError, match=r'1 of 6 values of head.weight in the checkpoint a.pth '
                                         'are not finite'):
        load_all_weights(make_model(), dict(state_dict=state), 'a.pth')


@pytest.mark.parametrize('checkpoint', [
    [], 'text', dict(state_dict=[]), dict(meta={}), dict(state_dict={1: torch.ones(1)})])
def test_checkpoints_without_weights(checkpoint):
    with pytest.raises(ValueError, match='the checkpoint a.pth holds no weights'):
        state_dict_of(checkpoint, 'a.pth')


def test_versions_of_layers_are_passed_on():
    """Checkpoints of old layers lack what newer versions of them have."""
    model = nn.BatchNorm2d(2)
    state = model.state_dict()
    del state['num_batches_tracked']
    state._metadata = {'': dict(version=2)}
    assert load_weights(model, state_dict_of(state, '')).missing == ['num_batches_tracked']
    state._metadata = {'': dict(version=1)}
    assert not any(load_weights(model, state_dict_of(state, '')))


def test_another_head_and_new_layers_may_be_trained():
    trained, model = make_model(classes=3), make_model(depth=2)
    before = model.head.weight.clone()
    missing, unexpected, misshapen = load_weights_to_train_on(model, trained.state_dict(), 'a.pth')
    assert missing == ['backbone.conv1.weight'] and not unexpected
    assert misshapen[0] == 'head.weight: (3, 3) instead of (2, 3)'
    assert torch.equal(model.backbone.conv0.weight, trained.backbone.conv0.weight)
    assert torch.equal(model.head.weight, before)


@pytest.mark.parametrize('state', [
    {}, {'features.0.weight': torch.ones(3, 3, 1, 1)},
    make_model().head.state_dict(prefix='head.'),
    {'backbone.conv0.weight': torch.ones(4, 3, 1, 1)}])
def test_training_does_not_start_from_another_network(state):
    with pytest.raises(ValueError, match='the checkpoint a.pth is of another network'):
        load_weights_to_train_on(make_model(), state, 'a.pth')


def test_the_digest_depends_on_every_weight_and_buffer():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    known = {weights_digest(model)}
    for tensor in model.state_dict().values():
        tensor.view(-1)[-1] += 1
        known.add(weights_digest(model))
    assert len(known) == 1 + 7 and weights_digest(model) in known
    assert weights_digest(model.half()) not in known
