"""Two ranks fill one cache of frozen features."""
import torch
from rank import BATCH, STEPS, small_runner

HOOKS = [dict(type='ContextPoolHook'), dict(type='FeatureCacheHook', views=2, dtype='float32')]


def train(work_dir, cache):
    hooks = [HOOKS[0], dict(HOOKS[1], folder=str(cache))]
    runner = small_runner(work_dir, custom_hooks=hooks, **{'train_dataloader.num_workers': 1})
    runner.train()
    return runner.model.module.state_dict()


def test_two_ranks_share_what_each_computes(run_ranks, tmp_path):
    one, _ = run_ranks(train, 2, tmp_path / 'two', tmp_path / 'cache')
    alone, = run_ranks(train, 1, tmp_path / 'one', tmp_path / 'alone')
    files = sorted((tmp_path / 'cache').rglob('view_*.bin'))
    assert len(files) == 2
    for file in files:
        other = tmp_path / 'alone' / file.relative_to(tmp_path / 'cache')
        count = file.stat().st_size // 4
        torch.testing.assert_close(*(
            torch.from_file(str(path), size=count) for path in (file, other)))
        flags = torch.from_file(str(file.with_suffix('.done')), size=BATCH * STEPS,
                                dtype=torch.uint8)
        assert flags.all()
    for name, value in alone.items():
        torch.testing.assert_close(one[name], value, rtol=1e-4, atol=1e-5)
