import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'
EPOCHS, STEPS, BATCH = 3, 7, 4


@HOOKS.register_module(force=True)
class Losses(Hook):
    """Keeps the loss of each step."""

    def before_train(self, runner):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())


def config(folder, method='cicam', **options):
    folder_of_method = '' if method == 'cicam' else method
    cfg = Config.fromfile(CONFIGS / folder_of_method / f'{method}_tiny_shapes.py')
    small = dict(num_workers=0, persistent_workers=False)
    cfg.merge_from_dict(dict(
        work_dir=str(folder), log_level='ERROR', train_dataloader=dict(small, batch_size=BATCH),
        val_dataloader=small, test_dataloader=dict(small, batch_size=5)))
    for split, count in ('train', STEPS * BATCH), ('val', 6), ('test', 12):
        cfg[f'{split}_dataloader'].dataset.num_images = count
    cfg.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    cfg.default_hooks.pop('ema', None)
    cfg.custom_hooks = [dict(type='Losses'), *cfg.get('custom_hooks', [])]
    cfg.merge_from_dict(options)
    return cfg


def run(cfg, cache=None, views=EPOCHS, dtype='float32', test=False):
    if cache:
        cfg.custom_hooks.append(dict(
            type='FeatureCacheHook', folder=str(cache), views=views, dtype=dtype))
    runner = build_runner(cfg)
    runner.train()
    losses = next(hook.losses for hook in runner.hooks if isinstance(hook, Losses))
    return losses, runner.test() if test else None, runner.model.state_dict()


def stores(cache):
    return {path.parent.name: path for path in sorted(cache.rglob('view_0.done'))}


@pytest.mark.parametrize('method, frozen_stages', [
    ('cicam', 2), ('acol', 3), ('has', 2)])
def test_training_and_test_equal_those_without(tmp_path, method, frozen_stages):
    frozen = {'model.backbone.frozen_stages': frozen_stages}
    plain = run(config(tmp_path / 'plain', method, **frozen), test=True)
    cached = run(config(tmp_path / 'cached', method, **frozen), tmp_path / 'cache', test=True)
    assert len(plain[0]) == EPOCHS * STEPS > 20
    assert cached[0] == plain[0]  # to the bit
    assert cached[1] == pytest.approx(plain[1])
    torch.testing.assert_close(cached[2], plain[2], rtol=1e-4, atol=1e-5)


def test_seeds_see_the_views_in_another_order(tmp_path):
    cache = tmp_path / 'cache'
    losses = {seed: run(config(tmp_path / str(seed), **{'randomness.seed': seed}), cache)[0]
              for seed in (0, 1)}
    written = {path: path.stat().st_mtime_ns for path in cache.rglob('*.done')}
    repeated = run(config(tmp_path / 'again', **{'randomness.seed': 1}), cache)[0]
    assert repeated == losses[1] != losses[0]
    assert written == {path: path.stat().st_mtime_ns for path in cache.rglob('*.done')}


def test_another_method_reads_and_what_changes_is_computed_anew(tmp_path):
    cache, once = tmp_path / 'cache', {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}
    run(config(tmp_path / '0', **once), cache, views=1)
    known = set(stores(cache))
    assert len(known) == 2  # training and validation
    run(config(tmp_path / '1', 'acol', **once, **{'optim_wrapper.optimizer.lr': 1e-4}), cache,
        views=1)
    assert set(stores(cache)) == known
    for number, changed in enumerate((
            {'model.backbone.init_cfg': None}, {'train_dataloader.dataset.rho': 0.},
            {'data_preprocessor.to_rgb': False},
            {'train_dataloader.dataset.pipeline.1.prob': 0.})):
        run(config(tmp_path / f'changed_{number}', **once, **changed), cache, views=1)
        assert set(stores(cache)) - known, changed
        known = set(stores(cache))
    identity = json.loads((stores(cache).popitem()[1].parent / 'identity.json').read_text())
    assert identity['dtype'] == 'torch.float32' and identity['pipeline']


def test_only_missing_entries_are_computed(tmp_path):
    cache = tmp_path / 'cache'
    first = run(config(tmp_path / '0'), cache)[0]
    for done in cache.rglob('view_1.done'):
        flags = torch.from_file(str(done), True, STEPS * BATCH, dtype=torch.uint8)
        values = torch.from_file(str(done.with_suffix('.bin')), True, STEPS * BATCH * 16 * 24 * 24)
        flags[5:], values.view(STEPS * BATCH, -1)[5:] = 0, 7.
        values.view(STEPS * BATCH, -1)[0] += 1  # is there, so it stays
    second = run(config(tmp_path / '1'), cache)[0]
    assert second[:STEPS] == first[:STEPS] and second != first
    assert (values.view(STEPS * BATCH, -1)[5:] != 7).any()
    values.view(STEPS * BATCH, -1)[0] -= 1
    torch.testing.assert_close(run(config(tmp_path / '2'), cache)[0], first, rtol=0, atol=1e-6)


def test_half_precision_is_close(tmp_path):
    plain = run(config(tmp_path / 'plain'))[0]
    cached = run(config(tmp_path / 'cached'), tmp_path / 'cache', dtype='bfloat16')[0]
    torch.testing.assert_close(cached, plain, rtol=0, atol=.02)
    size = {path.stat().st_size for path in (tmp_path / 'cache').rglob('view_1.bin')}
    assert size == {STEPS * BATCH * 16 * 24 * 24 * 2}


@pytest.mark.parametrize(('method', 'options', 'message'), [
    ('cutmix', {}, 'augments mixes images'),
    ('adl', {}, r'plugin adl acts within the frozen stages \(adl.2\)'),
    ('danet', {'model.backbone.frozen_stages': 3}, r'reads stage 2, before .* frozen one \(3\)'),
    ('cam', {'model.backbone.frozen_stages': 0}, 'no stage of the backbone is frozen'),
])
def test_what_it_cannot_hold_is_refused(tmp_path, method, options, message):
    with pytest.raises(UserError, match=message):
        run(config(tmp_path, method, **options), tmp_path / 'cache')


def test_other_settings_and_a_full_disk_are_refused(tmp_path, monkeypatch):
    cfg = config(tmp_path / 'seeds', 'cam')
    cfg.train_dataloader.dataset.pipeline = [dict(type='PackInputs')]
    with pytest.raises(UserError, match='SeedPerSample'):
        run(cfg, tmp_path / 'cache')
    cfg = config(tmp_path / 'a')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=5)
    with pytest.raises(UserError, match='train with an EpochBasedTrainLoop'):
        run(cfg, tmp_path / 'a' / 'cache')
    monkeypatch.setattr('shutil.disk_usage', lambda path: type('Usage', (), dict(free=10))())
    with pytest.raises(UserError, match='need 0.00 GB, but .* has 0.00 GB left'):
        run(config(tmp_path / 'b'), tmp_path / 'b' / 'cache')
