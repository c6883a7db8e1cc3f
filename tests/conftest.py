import gc
import multiprocessing
import os
import random
import resource
import runpy
import signal
import struct
import sys
import threading
import zlib
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.context import BaseContext
from pathlib import Path

import cv2
import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.utils import ManagerMixin
from mmpretrain.registry import MODELS
from tool_process import ToolProcess

import cicam_mm  # noqa: F401  registers everything

TOOLS = Path(__file__).parents[1] / 'tools'
WSOLEVAL = 'wsoleval_reference_seed0.json'


def pytest_addoption(parser):
    parser.addoption('--wsoleval-reference', type=Path,
                     help=f'instead of parity/{WSOLEVAL} of the shared folder')
    for kind, what in ('release', 'the released networks'), ('methods', 'rival methods'):
        parser.addoption(f'--{kind}-reference', type=Path, action='append', metavar='FILE.npz',
                         help=f'outputs of {what}, instead of those of the shared folder; '
                              'may be given several times')
    parser.addoption('--device', choices=('cpu', 'cuda'), default='cpu',
                     help='where those tests run that can run on a GPU')


def pytest_configure():
    # two threads on a busy machine wait for each other, 100 x slower; so do processes of tests
    torch.set_num_threads(1)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    # yapf takes half a second to format the config of a run
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)
    # loaders that go with a Runner, a cycle, cannot stop their workers and wait so many seconds
    torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.1


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # MMEngine collects garbage for each data set, which looks at all that lives


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def device(request):
    """Where to compute, as --device says; on a GPU without TF32, so that results compare."""
    device = request.config.getoption('--device')
    if device == 'cuda' and not torch.cuda.is_available():
        pytest.skip('--device cuda: torch finds no GPU here')
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return device


@pytest.fixture
def on_device(device):
    """Tensors and modules that the test makes are on the device."""
    with torch.device(device):
        yield


@pytest.fixture(autouse=True)
def _default_scope():
    """A Runner of another test leaves its loggers and its scope behind."""
    MMLogger._instance_dict.clear()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(scope='session')
def needed():
    """Tells what a test misses: in CI the test fails, elsewhere it skips."""
    return pytest.fail if os.environ.get('CI') == 'true' else pytest.skip


@pytest.fixture(scope='session')
def shared(needed):
    """Folder with parity/, data/ and weights/."""
    folder = Path(os.environ.get('CICAM_SHARED') or Path(__file__).parents[2] / 'shared')
    if not (folder / 'parity').is_dir():
        needed(f'no shared test data in {folder}; set CICAM_SHARED to their folder')
    return folder


@pytest.fixture(scope='session')
def wsoleval_reference_path(request):
    given = request.config.getoption('--wsoleval-reference')
    return given or request.getfixturevalue('shared') / 'parity' / WSOLEVAL


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


@pytest.fixture(scope='session')
def forkserver():
    """Starts processes by forking from one that has imported everything."""
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # no threads before the fork
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([
        'cicam_mm', 'mmpretrain', 'mmengine.runner', 'matplotlib.pyplot',
        'torch.distributed.elastic.multiprocessing.errors'])
    return context


class Tools:
    """The scripts of tools/, as their command lines start them."""

    def __init__(self, forkserver: BaseContext, logs: Path):
        self._forkserver = forkserver
        self._logs = logs
        self._count = 0

    def __call__(self, name: str, *args) -> None:
        """Run one inside this process, which saves seconds of imports."""
        for kind in subclasses(ManagerMixin):  # loggers and others that runs of one name share
            kind._instance_dict.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', [name, *map(str, args)])
            patch.syspath_prepend(str(TOOLS))
            patch.setenv('LOCAL_RANK', '0')
            runpy.run_path(str(TOOLS / name), run_name='__main__')

    def error(self, name: str, *args) -> str:
        """The sentence with which one leaves, without its 'error: '; other ends are failures."""
        with pytest.raises(SystemExit) as leaves:
            self(name, *args)
        message = leaves.value.code
        assert isinstance(message, str) and message.startswith('error: '), message
        assert message.isprintable()
        return message.removeprefix('error: ')

    def start(self, name: str, *args, cwd: Path | None = None) -> ToolProcess:
        """Start one as a process of its own."""
        self._count += 1
        return ToolProcess(self._forkserver, TOOLS / name, [*map(str, args)],
                           self._logs / f'{self._count}.log', cwd or Path.cwd())

    def process(self, name: str, *args, timeout: float = 300) -> str:
        """Run one as a process of its own, to a good end; its output."""
        started = self.start(name, *args)
        output = started.communicate(timeout)[0]
        assert started.returncode == 0, output
        return output


@pytest.fixture(scope='session')
def run_tool(forkserver, tmp_path_factory):
    return Tools(forkserver, tmp_path_factory.mktemp('tools'))


@pytest.fixture(scope='session')
def serve():
    """A context with an http server for a folder; gives its address."""
    @contextmanager
    def serve(folder):
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01, ), daemon=True).start()
            try:
                yield f'http://127.0.0.1:{server.server_port}'
            finally:  # a server whose socket is closed would spin for the rest of the tests
                server.shutdown()

    return serve


@contextmanager
def limited(kind, soft):
    """A context in which a resource of this process is limited."""
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, limits)


@pytest.fixture(scope='session')
def full_disk():
    """A context in which files of this process cannot grow beyond so many bytes."""
    @contextmanager
    def full_disk(free):
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with limited(resource.RLIMIT_FSIZE, free):
                yield
        finally:
            signal.signal(signal.SIGXFSZ, handler)

    return full_disk


@pytest.fixture(scope='session')
def bounded_memory():
    """A context in which allocations fail once this process has so many bytes more than now."""
    def bounded_memory(extra):
        with open('/proc/self/statm') as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        return limited(resource.RLIMIT_AS, now + extra)

    return bounded_memory


@pytest.fixture
def photo():
    """A smooth picture of 640 x 400 pixels, uint8."""
    noise = np.random.default_rng(0).random((6, 8, 3))
    smooth = cv2.resize(noise, (640, 400), interpolation=cv2.INTER_CUBIC)
    return (smooth.clip(0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope='session')
def bomb():
    """A PNG of a few bytes that says it has ten billion pixels."""
    def chunk(kind, data):
        checked = kind + data
        return struct.pack('>I', len(data)) + checked + struct.pack('>I', zlib.crc32(checked))

    header = struct.pack('>2I5B', 10**5, 10**5, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b''))


@pytest.fixture(scope='session')
def small_demo():
    """Makes the demo's config, with a smaller network on images of 32 x 32 pixels."""
    def small_demo():
        cfg = Config.fromfile(TOOLS.parent / 'configs' / 'cicam_tiny_shapes.py')
        cfg.model.backbone.base_channels = 2
        cfg.model.head.in_channels = 8
        cfg.model.head.pool.size = (8, 8)
        cfg.test_pipeline[0].scale = (32, 32)
        cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
        cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
        return cfg

    return small_demo


@pytest.fixture(scope='session')
def save_untrained():
    """Saves the model of a config, its classifier far from zero so that its maps have contrast."""
    def save_untrained(cfg, path, **meta):
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(cfg.model)
        torch.nn.init.normal_(model.head.fc.weight)
        torch.save(dict(meta=meta, state_dict=model.state_dict()), path)

    return save_untrained


TOY_CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=32, topk=(1,)),
    data_preprocessor=dict(num_classes=2),
)
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root='{images}',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    ),
)
val_dataloader = test_dataloader = dict(train_dataloader, sampler=dict(type='DefaultSampler'))
val_dataloader['sampler']['shuffle'] = False
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1,))
train_cfg, val_cfg, test_cfg = dict(by_epoch=True, max_epochs=1), dict(), dict()
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, weight_decay=1e-4), paramwise_cfg=dict(norm_decay_mult=0)
)
custom_hooks = [dict(type='ResultTableHook')]
randomness = dict(seed=0)
experiment_name = '{name}'  # else a time in seconds, and equal names share their logger
"""


@pytest.fixture
def toy_config(tmp_path):
    """Path of a config that classifies seven images into two classes in a second."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        folder = tmp_path / 'images' / 'ab'[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{index}.png'), image)
    path = tmp_path / 'toy.py'
    path.write_text(TOY_CONFIG.format(images=tmp_path / 'images', name=tmp_path.name))
    return path
