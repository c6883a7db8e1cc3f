import configparser
import contextlib
import functools
import http.server
import os
import pickle
import threading
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader

from cicam_mm import compat

UPSTREAM = {
    'torch': '2.14.1+cu130',
    'mmengine': '0.10.7',
    'mmcv-lite': '2.2.0',
    'mmpretrain': '1.2.0',
    'setuptools': '80.10.2',
}
ONEDL = {
    'torch': '2.6.0',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
}


@pytest.mark.parametrize('installed', [UPSTREAM, ONEDL])
def test_one_family_is_fine(installed):
    compat.check_stack(installed.get)


def test_full_mmcv_replaces_mmcv_lite():
    installed = UPSTREAM | {'mmcv': '2.2.0'}
    del installed['mmcv-lite']
    compat.check_stack(installed.get)


def refusal(installed):
    with pytest.raises(ImportError) as error:
        compat.check_stack(installed.get)
    message = str(error.value)
    assert '\n' not in message and message.endswith('`.')
    return message


def test_neither_family():
    assert refusal({'torch': '2.6.0', 'setuptools': '80.0'}) == (
        "cicam_mm needs mmengine, which is not installed: `pip install 'torch>=2.6' "
        "'mmengine>=0.10.7,<0.11' 'mmcv-lite>=2.2.0,<2.3' 'mmpretrain>=1.2.0,<1.3' "
        "'setuptools<81'`."
    )


def test_both_families():
    message = refusal(UPSTREAM | {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6'})
    assert message.startswith(
        'mmengine, mmcv-lite, mmpretrain and onedl-mmengine, onedl-mmcv are installed together'
    )
    assert (
        '`pip uninstall -y mmengine mmcv-lite mmpretrain onedl-mmengine onedl-mmcv && pip install'
    ) in message


@pytest.mark.parametrize(
    ('installed', 'name', 'version', 'says'),
    [
        (UPSTREAM, 'torch', '2.5.1', 'torch>=2.6, but 2.5.1'),
        (UPSTREAM, 'mmengine', '0.10.4', 'mmengine>=0.10.7,<0.11, but 0.10.4'),
        (UPSTREAM, 'mmpretrain', '2.0.0rc1', 'mmpretrain>=1.2.0,<1.3, but 2.0.0rc1'),
        (UPSTREAM, 'setuptools', '81.0.0', 'setuptools<81, but 81.0.0'),
        (ONEDL, 'onedl-mmcv', '2.4.0', 'onedl-mmcv>=2.3.6,<2.4, but 2.4.0'),
    ],
)
def test_version_out_of_bounds(installed, name, version, says):
    assert says in refusal(installed | {name: version})


def test_incomplete_family():
    installed = ONEDL.copy()
    del installed['onedl-mmpretrain']
    message = refusal(installed)
    assert 'needs onedl-mmpretrain, which is not installed' in message
    assert "'mmengine" not in message  # the command stays within the family


def test_bounds_are_those_of_setup_cfg():
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[1] / 'setup.cfg')
    extras = config['options.extras_require']
    for extra, family in [('upstream', compat.UPSTREAM), ('onedl', compat.ONEDL)]:
        assert extras[extra].split() == [name + bounds for name, bounds in family.items()]
    assert 'torch' + compat.TORCH['torch'] in config['options']['install_requires'].split()


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
        f'The checkpoint {path} cannot be read: it is cut off, damaged, or none at all.')


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


@pytest.mark.parametrize(('launcher', 'has_gpu'), [('none', False), ('pytorch', True)])
def test_config_is_left_alone(launcher, has_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    cfg = Config(dict(launcher=launcher))
    compat.prepare_cpu_distributed(cfg)
    assert cfg.to_dict() == dict(launcher=launcher)
    assert not torch.distributed.is_initialized()


def test_process_group_of_an_earlier_runner_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'init_process_group', pytest.fail)
    monkeypatch.setenv('MASTER_PORT', '29500')
    cfg = Config(dict(launcher='pytorch'))
    compat.prepare_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg.device_ids is None
