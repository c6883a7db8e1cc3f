"""Files that would like to be run."""
import contextlib
import functools
import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import mmengine
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.datasets import BaseDataset

from cicam_mm.sweep.runs import plan_runs

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]


def test_history_of_a_checkpoint_survives_weights_only(tmp_path):
    hub = MessageHub.get_instance('test_history_of_a_checkpoint')
    hub.update_scalar('train/loss', 0.5)
    hub.update_scalar('train/loss', 0.25)
    torch.save({'message_hub': hub.state_dict()}, tmp_path / 'epoch_1.pth')

    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
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


@pytest.mark.parametrize('attack', [plain_attack, attack_through_getattr])
@pytest.mark.parametrize('scheme', ['', 'http'])
def test_hostile_checkpoint_is_refused(attack, scheme, tmp_path, monkeypatch):
    marker = tmp_path / 'executed'
    name = f'{attack.__name__}.pth'
    torch.save({'state_dict': {}, 'meta': attack(str(marker))}, tmp_path / name)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with pytest.raises(pickle.UnpicklingError) as error, serve(tmp_path) as address:
        CheckpointLoader.load_checkpoint(f'{address if scheme else tmp_path}/{name}')
    assert not marker.exists()
    message = str(error.value)
    assert message.startswith(f'The checkpoint {scheme}') and '\n' not in message
    assert ('posix.mkdir' if attack is plain_attack else 'a call') in message


@pytest.mark.parametrize('keep', [0, 10, 2000])
def test_damaged_checkpoint_is_named(tmp_path, keep):
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'weight': torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(pickle.UnpicklingError) as error:
        CheckpointLoader.load_checkpoint(str(path))
    assert str(error.value) == (
        f'The checkpoint {path} cannot be read: it is truncated, damaged, or not a checkpoint.')


def test_a_flipped_bit_in_the_weights_is_seen(tmp_path):
    """Torch itself loads it without a word."""
    path, weight = tmp_path / 'epoch_1.pth', torch.arange(1000.)
    torch.save(dict(state_dict=dict(weight=weight)), path)
    content = bytearray(path.read_bytes())
    content[content.index(weight.numpy().tobytes()) + 401] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)['state_dict']['weight'], weight)
    with pytest.raises(pickle.UnpicklingError, match='its part epoch_1/data/0 is damaged'):
        CheckpointLoader.load_checkpoint(str(path))


@contextlib.contextmanager
def serve(folder):
    """An http server for a folder; gives its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
        finally:  # a server whose socket is closed would spin for the rest of the tests
            server.shutdown()

def test_weights_that_cannot_be_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with serve(tmp_path) as address:
        with pytest.raises(ValueError) as missing:
            CheckpointLoader.load_checkpoint(f'{address}/vgg16.pth')
    with pytest.raises(ValueError) as refused:  # the server is gone
        CheckpointLoader.load_checkpoint(f'{address}/vgg16.pth')
    for error, reason in (missing, 'HTTP Error 404'), (refused, 'Connection refused'):
        message = str(error.value)
        assert message.startswith(f'The weights {address}/vgg16.pth cannot be downloaded (')
        assert reason in message and 'CICAM_VGG16_WEIGHTS=/path/to/vgg16.pth' in message


def code(marker):
    """What a config in a checkpoint may hold, and what mmengine would do with it."""
    imported = marker.parent / 'imported.py'
    imported.write_text(f'import os; os.mkdir({str(marker)!r})')
    return [
        f'import os; os.mkdir({str(marker)!r})',
        f'x = __import__("os").mkdir({str(marker)!r})',
        f'x = dict(y=[__import__("os").mkdir({str(marker)!r})])',
        f'def f(a=__import__("os").mkdir({str(marker)!r})): pass',
    ]


@pytest.mark.parametrize('index', range(4))
def test_code_in_a_stored_config_is_refused(tmp_path, index):
    marker = tmp_path / 'executed'
    with pytest.raises(pickle.UnpicklingError) as error:
        Config.fromstring(code(marker)[index], file_format='.py')
    assert not marker.exists()
    message = str(error.value)
    assert message.startswith('The config in a checkpoint is refused: line 1 holds code')
    assert message.endswith('which was not run.') and '\n' not in message


@pytest.mark.parametrize('file_format', ['.py', '.json'])
def test_bases_and_imports_of_a_stored_config_are_mere_values(tmp_path, monkeypatch, file_format):
    marker = tmp_path / 'executed'
    (tmp_path / 'evil.py').write_text(f'import os\nos.mkdir({str(marker)!r})\nx = 1\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    base, imports = [str(tmp_path / 'evil.py')], dict(imports=['evil'])
    text = {'.py': f'_base_ = {base}\ncustom_imports = {imports}\n',
            '.json': json.dumps(dict(_base_=base, custom_imports=imports))}[file_format]
    read = Config.fromstring(text, file_format)
    assert read.to_dict() == dict(_base_=base, custom_imports=imports)
    assert not marker.exists() and 'evil' not in sys.modules


def test_no_model_is_built_from_a_stored_config(tmp_path):
    """Any function can be the type of a model."""
    marker = tmp_path / 'executed'
    config = f'model = dict(type="os.mkdir", path={str(marker)!r})'
    torch.save(dict(state_dict={}, meta=dict(cfg=config)), tmp_path / 'epoch_1.pth')

    class Inferencer(BaseInferencer):
        visualize = postprocess = _init_pipeline = None

    with pytest.raises(pickle.UnpicklingError, match='The inferencer needs a config'):
        Inferencer(weights=str(tmp_path / 'epoch_1.pth'), device='cpu', scope='mmpretrain')
    assert not marker.exists()


def test_no_tool_runs_what_it_resumes(run_tool, toy_config, tmp_path):
    """A checkpoint that is fine, but for the config in it."""
    run_tool('train.py', toy_config, '--work-dir', tmp_path / 'trained', '--no-validate')
    checkpoint = torch.load(tmp_path / 'trained' / 'epoch_1.pth', weights_only=True)
    marker = tmp_path / 'executed'
    checkpoint['meta']['config'] = f'x = __import__("os").system("mkdir {marker}")'
    work, sweep = tmp_path / 'work', tmp_path / 'sweep'
    run_of_sweep = plan_runs({'toy': str(toy_config)}, {}, [0], sweep)[0].folder
    for folder in (work, run_of_sweep):
        folder.mkdir(parents=True)
        torch.save(checkpoint, folder / 'epoch_1.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    fresh = subprocess.Popen(  # a new interpreter, in which nothing but the tool imports guards
        [sys.executable, ROOT / 'tools/train.py', toy_config, '--work-dir', tmp_path / 'new',
         '--resume', work / 'epoch_1.pth'], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    processes = {
        fresh: work,
        run_tool.start('train.py', toy_config, '--work-dir', work, '--resume'): work,
        run_tool.start('sweep.py', toy_config, '--work-dir', sweep): run_of_sweep,
    }
    for process, folder in processes.items():
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 1
        assert (f'The config in the checkpoint {folder / "epoch_1.pth"} is refused: line 1 holds '
                'code') in output, output
    assert not marker.exists()


def test_number_of_gpus_is_still_read():
    """All that resuming takes from a stored config."""
    assert Config.fromstring('gpu_ids = range(0, 1)', '.py').gpu_ids == range(0, 1)
    assert Config.fromstring('gpu_ids = [0, 1]\nlr = -1e-3', '.py').gpu_ids == [0, 1]


@pytest.fixture
def checkpoint_hook(tmp_path):
    """Starts a training whose resumed checkpoint holds this; gives the hook behind it."""
    def start(save_best='top1', **info):
        (tmp_path / 'run').mkdir(exist_ok=True)
        hook = CheckpointHook(interval=1, save_best=save_best, max_keep_ckpts=1, rule='greater')
        hook.before_train(SimpleNamespace(
            work_dir=str(tmp_path / 'run'), logger=SimpleNamespace(info=print),
            message_hub=SimpleNamespace(runtime_info=info, get_info=info.get)))
        return hook
    return start


def test_best_checkpoint_of_the_run_is_known_again(checkpoint_hook, tmp_path):
    checkpoint_hook()
    best = tmp_path / 'run' / 'best_top1_epoch_1.pth'
    best.touch()
    assert checkpoint_hook(best_ckpt=str(best)).best_ckpt_path == str(best)
    hook = checkpoint_hook(save_best=['a', 'b'], best_ckpt_a=str(best), best_ckpt_b='/')
    assert hook.best_ckpt_path_dict == dict(a=str(best), b=None)


@pytest.mark.parametrize('name', ['thesis', 'best_photos', 'run/notes.txt', 'run', 'missing', 7])
def test_what_is_no_best_checkpoint_is_never_removed(checkpoint_hook, tmp_path, name):
    (tmp_path / 'best_photos').mkdir()
    (tmp_path / 'thesis').touch()
    checkpoint_hook()
    (tmp_path / 'run' / 'notes.txt').touch()
    path = name if name == 7 else str(tmp_path / name)
    assert checkpoint_hook(best_ckpt=path).best_ckpt_path is None


def test_only_numbers_name_checkpoints_to_remove(checkpoint_hook, tmp_path):
    kept = tmp_path / 'run' / 'epoch_' / '..' / '..' / 'thesis.pth'
    (tmp_path / 'run' / 'epoch_').mkdir(parents=True)
    kept.touch()
    hook = checkpoint_hook(keep_ckpt_ids=['/../../thesis', 1])
    assert kept.exists() and list(hook.keep_ckpt_ids) == [1]
    assert list(checkpoint_hook(keep_ckpt_ids='12').keep_ckpt_ids) == []


def test_annotation_files_are_data(tmp_path):
    """``mmengine.load`` unpickles by the end of a name, and its YAML makes any object."""
    marker = tmp_path / 'executed'
    pickled, text, name = tmp_path / 'a.pkl', tmp_path / 'a.yaml', str(marker)
    pickled.write_bytes(pickle.dumps([Call(os.mkdir, name)]))
    text.write_text(f'a: !!python/object/apply:os.mkdir [{name!r}]')
    with pytest.raises(pickle.UnpicklingError, match=r'refused and .* it asks for posix.mkdir\.$'):
        BaseDataset(ann_file=str(pickled))
    with pytest.raises(yaml.YAMLError, match='could not determine a constructor'):
        BaseDataset(ann_file=str(text))
    assert not marker.exists()


@pytest.mark.parametrize('end', ['pkl', 'yaml', 'json'])
def test_what_mmengine_dumps_is_loaded_again(tmp_path, end):
    value = [dict(a=[1, 2.5, 'x'], b=None), {}]
    if end != 'json':
        value.append((1, 2))
    mmengine.dump(value, tmp_path / f'a.{end}')
    assert mmengine.load(tmp_path / f'a.{end}') == value
