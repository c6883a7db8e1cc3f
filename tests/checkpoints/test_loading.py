"""Files that would like to be run."""
import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mmengine
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader
from mmpretrain.datasets import BaseDataset

from cicam_mm.checkpoints import loading
from cicam_mm.checkpoints.loading import data_only, find_damage, has_checksums, load_checkpoint
from cicam_mm.engine import CheckpointFitHook
from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.stack import Replaced

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]


def test_history_of_a_checkpoint_survives_weights_only(tmp_path):
    hub = MessageHub.get_instance('test_history_of_a_checkpoint')
    hub.update_scalar('train/loss', 0.5)
    hub.update_scalar('train/loss', 0.25)
    torch.save({'message_hub': hub.state_dict()}, tmp_path / 'epoch_1.pth')

    # the fork's own loader, which forgets what it has allowed
    CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    loaded = load_checkpoint(tmp_path / 'epoch_1.pth')
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert history.data[0].tolist() == [0.5, 0.25]
    assert history.statistics('mean') == 0.375


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *args, items=None):
        self.reduced = function, args, None, None, items and iter(items)

    def __reduce__(self):
        return self.reduced


class History:
    """Pickled as a HistoryBuffer with the given attributes."""

    def __init__(self, **attributes):
        self.attributes = attributes

    def __reduce__(self):
        return HistoryBuffer, (), self.attributes


def plain_attack(marker):
    return Call(os.mkdir, marker)


def attack_through_getattr(marker):
    """Swap ``torch`` in torch's own module for an object whose ``nn.Parameter`` is ``exec``."""
    rebuild = torch._utils._rebuild_parameter
    execute = Call(getattr, Call(getattr, getattr, '__self__'), 'exec')
    swapped = [('torch', History(nn=History(Parameter=execute)))]
    return [
        Call(getattr, rebuild, '__globals__', items=swapped),
        Call(rebuild, f'import os; os.mkdir({marker!r})', {}, None),
    ]


@pytest.mark.parametrize('attack, asked', [
    (plain_attack, 'posix.mkdir'), (attack_through_getattr, 'a call')])
def test_hostile_checkpoint_is_refused(serve, attack, asked, tmp_path, monkeypatch):
    torch.save({'state_dict': {}, 'meta': attack(str(tmp_path / 'executed'))}, tmp_path / 'a.pth')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with serve(tmp_path) as address:
        for place in str(tmp_path), address:
            with pytest.raises(pickle.UnpicklingError, match=f'.*{asked}') as error:
                load_checkpoint(f'{place}/a.pth')
            message = str(error.value)
            assert message.startswith(f'The checkpoint {tmp_path}') and '\n' not in message
            assert ('(of http' in message) == (place == address)
    assert not (tmp_path / 'executed').exists()


def test_damaged_checkpoints_are_named(tmp_path):
    path, weight = tmp_path / 'epoch_1.pth', torch.arange(1000.)
    torch.save(dict(state_dict=dict(weight=weight)), path)
    content = bytearray(path.read_bytes())
    for keep in 0, 10, 2000, -100:
        path.write_bytes(content[:keep])
        with pytest.raises(pickle.UnpicklingError) as error:
            load_checkpoint(path)
        assert str(error.value) == (f'The checkpoint {path} cannot be read: it is truncated, '
                                    'damaged, or not a checkpoint.')
    content[content.index(weight.numpy().tobytes()) + 401] ^= 1  # torch itself loads that
    path.write_bytes(content)
    with pytest.raises(pickle.UnpicklingError, match='its part epoch_1/data/0 is damaged'):
        load_checkpoint(path)
    torch.save(dict(weight=weight), path, _use_new_zipfile_serialization=False)
    assert not has_checksums(path) and find_damage(path) is None

    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match='pipe is not a regular file'):
        load_checkpoint(tmp_path / 'pipe')
    with pytest.raises(FileNotFoundError, match='The checkpoint .*missing does not exist'):
        load_checkpoint(tmp_path / 'missing')


def test_weights_that_cannot_be_downloaded(serve, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(loading, 'MAX_DOWNLOAD', 1000)
    (tmp_path / 'large.pth').write_bytes(bytes(1001))
    messages = {}
    with serve(tmp_path) as address:
        for name in 'missing', 'large':
            with pytest.raises(UserError) as messages[name]:
                load_checkpoint(f'{address}/{name}.pth')
    with pytest.raises(UserError) as messages['refused']:  # the server is gone
        load_checkpoint(f'{address}/refused.pth')
    for (name, error), reason in zip(messages.items(), (
            'HTTP Error 404', 'more than 1,000 bytes', 'Connection refused'), strict=True):
        message = str(error.value)
        assert message.startswith(f'The weights {address}/{name}.pth cannot be downloaded (')
        assert reason in message and f'CICAM_VGG16_WEIGHTS=/path/to/{name}.pth' in message
    assert not [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]


def test_importing_replaces_nothing_in_other_packages():
    """In a fresh process, where nothing has imported the package before."""
    code = """
from mmengine.config import Config
from mmengine.fileio.handlers import pickle_handler, registry_utils, yaml_handler
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, checkpoint
from mmpretrain.datasets import cifar
owners = (Config, Runner, CheckpointHook, pickle_handler.PickleHandler, yaml_handler, cifar,
          checkpoint, checkpoint.CheckpointLoader, registry_utils)
look = lambda: [{name: id(value) for name, value in vars(owner).items()
                 if name not in ('__dict__', '_schemes')} for owner in owners]
before = look()
import cicam_mm
assert look() == before
with cicam_mm.checkpoints.loading.data_only, cicam_mm.utils.stack.config_names:
    assert look() != before
assert look() == before
"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=200,
                   env={**os.environ, 'PYTHONPATH': str(ROOT)})


def test_replaced_until_the_last_one_leaves():
    """As in two threads, of which the first to enter leaves first."""
    owner = SimpleNamespace(value=1)
    replaced = Replaced(lambda: [(owner, 'value', owner.value + 1)])
    with contextlib.ExitStack() as last:
        with replaced:
            last.enter_context(replaced)
            assert owner.value == 2
        assert owner.value == 2
    assert owner.value == 1


def test_nothing_runs_what_it_resumes(run_tool, toy_config, tmp_path):
    """A checkpoint that is fine, but for the config in it, which mmengine would execute."""
    run_tool('train.py', toy_config, '--work-dir', tmp_path / 'trained', '--no-validate')
    path = tmp_path / 'trained' / 'epoch_1.pth'
    checkpoint, marker = torch.load(path, weights_only=True), tmp_path / 'executed'
    code = f'x = __import__("os").system("mkdir {marker}")'
    checkpoint['meta'] |= dict(config=code, cfg=code)
    torch.save(checkpoint, path)
    cfg = Config.fromfile(toy_config)
    cfg.work_dir, cfg.load_from, cfg.resume = str(tmp_path / 'new'), str(path), True
    build_runner(cfg).train()
    assert not marker.exists()


def test_a_resumed_training_removes_only_its_own_checkpoints(tmp_path):
    """CheckpointHook at the start of a training whose resumed checkpoint holds this."""
    def resumed(save_best='top1', **info):
        hook = CheckpointHook(interval=1, save_best=save_best, max_keep_ckpts=1, rule='greater')
        runner = SimpleNamespace(
            work_dir=str(tmp_path / 'run'), logger=SimpleNamespace(info=print),
            message_hub=SimpleNamespace(runtime_info=info, get_info=info.get))
        for each in (CheckpointFitHook(), hook):
            each.before_train(runner)
        return hook

    (tmp_path / 'run' / 'epoch_').mkdir(parents=True)
    (tmp_path / 'best_photos').mkdir()
    best = tmp_path / 'run' / 'best_top1_epoch_1.pth'
    notes, thesis, kept = tmp_path / 'run' / 'notes.txt', tmp_path / 'best_thesis', (
        tmp_path / 'thesis.pth')
    for path in best, notes, thesis, kept:
        path.touch()
    assert resumed(best_ckpt=str(best)).best_ckpt_path == str(best)
    hook = resumed(save_best=['a', 'b'], best_ckpt_a=str(best), best_ckpt_b='/')
    assert hook.best_ckpt_path_dict == dict(a=str(best), b=None)
    for other in (str(notes), str(tmp_path / 'best_photos'), str(thesis), 7):
        assert resumed(best_ckpt=other).best_ckpt_path is None
    for ids in ['/../../thesis', 1], '12', None:
        assert not resumed(keep_ckpt_ids=ids).keep_ckpt_ids and kept.exists()
    assert list(resumed(keep_ckpt_ids=[1]).keep_ckpt_ids) == [1]


def test_annotation_files_are_data(tmp_path):
    """``mmengine.load`` unpickles by the end of a name, and its YAML makes any object."""
    marker = tmp_path / 'executed'
    pickled, text, name = tmp_path / 'a.pkl', tmp_path / 'a.yaml', str(marker)
    pickled.write_bytes(pickle.dumps([Call(os.mkdir, name)]))
    text.write_text(f'a: !!python/object/apply:os.mkdir [{name!r}]')
    with data_only, pytest.raises(pickle.UnpicklingError,
                                  match=r'refused and .* it asks for posix.mkdir\.$'):
        BaseDataset(ann_file=str(pickled))
    with data_only, pytest.raises(yaml.YAMLError, match='could not determine a constructor'):
        BaseDataset(ann_file=str(text))
    assert not marker.exists()


@pytest.mark.parametrize('end', ['pkl', 'yaml', 'json'])
def test_what_mmengine_dumps_is_loaded_again(tmp_path, end):
    value = [dict(a=[1, 2.5, 'x'], b=None), {}]
    if end != 'json':
        value.append((1, 2))
    mmengine.dump(value, tmp_path / f'a.{end}')
    with data_only:
        assert mmengine.load(tmp_path / f'a.{end}') == value
