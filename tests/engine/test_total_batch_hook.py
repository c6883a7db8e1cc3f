import logging
from types import SimpleNamespace

import pytest

from cicam_mm.engine import TotalBatchHook


@pytest.mark.parametrize('world_size, batch_size, collected, scaling, total', [
    (8, 6, 1, dict(base_batch_size=6), 48),
    (8, 6, 1, dict(base_batch_size=6, enable=False), 48),
    (1, 3, 1, dict(base_batch_size=6), 3),
    (2, 3, 2, dict(base_batch_size=6), 12),
    (1, 6, 1, dict(base_batch_size=6), None),
    (2, 3, 1, dict(base_batch_size=6), None),
    (1, 3, 2, dict(base_batch_size=6), None),
    (8, 6, 1, dict(base_batch_size=6, enable=True), None),
    (8, 6, 1, None, None),
    (8, None, 1, dict(base_batch_size=6), None),  # a batch sampler of its own
])
def test_warns_of_another_total_batch(caplog, world_size, batch_size, collected, scaling, total):
    TotalBatchHook().before_train(SimpleNamespace(
        world_size=world_size, auto_scale_lr=scaling, logger=logging.getLogger('total batch'),
        train_dataloader=SimpleNamespace(batch_size=batch_size),
        cfg=dict(optim_wrapper=dict(accumulative_counts=collected))))
    if total is None:
        assert not caplog.text
    else:
        assert f'A step trains on {total} images in all, but' in caplog.text
        assert 'is for 6; scale it with --auto-scale-lr' in caplog.text
