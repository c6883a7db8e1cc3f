import logging
from types import SimpleNamespace

import pytest
import torch
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from torch import nn

NAN = float('nan')


class Model(nn.Module):
    """A weight that is multiplied with the input, batch norm aside, and a context pool."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm1d(1)
        self.pool = MODELS.build(dict(
            type='CausalContextPool', num_classes=3, channels=2, size=(1, 2), counted='all'))
        self.pool.has_updater = True


class Training:
    """Trains a step on a number; the hook stops after three bad ones in a row."""

    def __init__(self):
        self.model = Model()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=.1)
        self.runner = SimpleNamespace(
            model=self.model, iter=0, logger=logging.getLogger('test'),
            optim_wrapper=SimpleNamespace(optimizer=self.optimizer))
        self.hook = HOOKS.build(dict(type='NonFiniteLossHook', patience=3))
        self.hook.before_train(self.runner)

    def step(self, number):
        """The weight after the step, and the classes it feeds."""
        self.optimizer.zero_grad()
        self.model.pool.record(torch.ones(1, 1, 2), torch.tensor([1]), torch.tensor([1]))
        loss = (self.model.weight * number).sum()
        loss.backward()
        self.optimizer.step()
        samples = [DataSample(metainfo=dict(img_path=f'{number}.jpg')), DataSample()]
        self.hook.after_train_iter(
            self.runner, 0, dict(inputs=None, data_samples=samples), dict(loss=loss.detach()))
        self.runner.iter += 1
        return self.model.weight.item(), self.model.pool.take_pending()[0].tolist()


@pytest.fixture
def training():
    return Training()


def test_bad_step_feeds_nothing_and_leaves_finite_weights(training):
    first, fed = training.step(1.)
    assert first == pytest.approx(.9) and fed == [1]
    # Adam's means are 0.9 * 0.1 and 0.999 * 0.001, over 1 - 0.9^2 and 1 - 0.999^2: 0.67 of a step
    second, fed = training.step(NAN)
    assert second == pytest.approx(.9 - .1 * (.09 / .19) / (.000999 / .001999)**.5)
    assert fed == [3]  # no class
    assert training.step(1.)[0] < second


def test_bad_batches_are_named_once(training, caplog):
    for number in (1., NAN, NAN, 1., float('inf'), 1.):
        training.step(number)
    assert caplog.messages == [
        f'the loss or its gradient is not finite in {which}; the gradients of these steps were '
        f'set to zero. First batch: {name}.jpg, image None.' for which, name in (
            ('iterations 2 to 3', 'nan'), ('iteration 5', 'inf'))]


def test_three_in_a_row_end_the_training(training):
    for number in (NAN, 1., 1., 1., NAN):
        training.step(number)
    with pytest.raises(FloatingPointError) as error:
        for number in (NAN, float('inf'), 1., 1.):
            training.step(number)
    assert str(error.value) == (
        'the loss or its gradient is not finite in iterations 5 to 7; lower the learning rate or '
        'the loss scale, or check inf.jpg, image None.')
    assert training.runner.iter == 8  # of which it learns in the ninth


def test_gradients_alone_end_the_training_too(training):
    training.model.weight.register_hook(lambda gradient: gradient * float('inf'))
    with pytest.raises(FloatingPointError, match='in iterations 1 to 3; lower the learning rate'):
        for _ in range(3):
            assert training.step(1.)[0] == 1


def test_lost_statistics_are_not_saved(training):
    training.hook.before_save_checkpoint(training.runner, {})
    training.step(NAN)
    training.hook.before_save_checkpoint(training.runner, {})
    training.model.norm.running_mean.fill_(NAN)
    with pytest.raises(FloatingPointError, match='and neither is norm.running_mean any more'):
        training.hook.before_save_checkpoint(training.runner, {})
