import logging
from types import SimpleNamespace

import pytest

from cicam_mm.engine.runner import share_total_batch


def share(world_size, batch_size, total, passes=1):
    runner = SimpleNamespace(
        world_size=world_size, auto_scale_lr=total and dict(base_batch_size=total),
        _train_dataloader=dict(batch_size=batch_size), logger=logging.getLogger('total batch'),
        cfg=dict(optim_wrapper=dict(accumulative_counts=passes)))
    share_total_batch(runner)
    return runner


@pytest.mark.parametrize('world_size, batch_size, total, passes, images, ratio', [
    (1, 6, 6, 1, 6, 1),
    (2, 6, 6, 1, 3, 1),
    (8, 6, 6, 1, 1, 8 / 6),
    (4, 6, 6, 1, 2, 8 / 6),
    (5, 6, 6, 1, 1, 5 / 6),
    (1, 3, 6, 2, 3, 1),  # two forward passes a step
    (2, 6, 6, 3, 1, 1),
    (1, 3, 6, 1, 3, .5),  # no more than the config says
    (4, 32, 256, 1, 32, .5),
])
def test_shares_of_the_total_batch(caplog, world_size, batch_size, total, passes, images, ratio):
    caplog.set_level(logging.INFO)
    runner = share(world_size, batch_size, total, passes)
    assert runner._train_dataloader['batch_size'] == images
    assert runner.auto_scale_lr['enable'] == (ratio != 1)
    # mmengine multiplies by this
    assert world_size * images / runner.auto_scale_lr['base_batch_size'] == pytest.approx(ratio)
    assert caplog.text.count('\n') == (world_size * passes > 1 or ratio != 1)
    if ratio != 1:
        assert f'instead of {total}; the learning rate is multiplied by {ratio:.4g}' in caplog.text


def test_what_does_not_state_its_total_batch():
    for batch_size, total in (6, None), (None, 6):  # or a sampler of batches
        assert share(8, batch_size, total)._train_dataloader['batch_size'] == batch_size
    with pytest.raises(ValueError, match='batch_size is 12, but a step has 6 images in all'):
        share(1, 12, 6)
