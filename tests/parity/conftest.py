import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS

import cicam_mm  # noqa: F401

ROOT = Path(__file__).parents[2]

# Fixtures with outputs of other methods: an array that tells their files, the file of the shared
# folder, and the script that rebuilds the inputs.
METHODS = {
    'wsoleval_methods': (
        'cam_logits', 'wsoleval_methods_reference_seed3.npz', 'rivals_inputs.py'),
    'author_methods': (
        'danet_commit', 'author_methods_reference_seed3.npz', 'rivals_inputs_b.py'),
}


def pytest_generate_tests(metafunc):
    """Tests of these fixtures run once for each file that holds what they compare."""
    given = metafunc.config.getoption('--methods-reference')
    for name in METHODS.keys() & set(metafunc.fixturenames):
        files = [path for path in given if _kind(path) == name] if given else [None]
        metafunc.parametrize(name, files, indirect=True, scope='session',
                             ids=lambda path: path.stem if path else 'shared')


def _kind(path):
    with np.load(path) as file:
        kinds = [name for name, (array, *_) in METHODS.items() if array in file]
    if not kinds:
        raise pytest.UsageError(f'{path} holds no outputs of methods that are tested here')
    return kinds[0]


class MethodsReference:
    """Outputs of other codes, by name, and the functions that rebuild their inputs."""

    def __init__(self, path, inputs):
        with np.load(path) as file:
            self.arrays = dict(file)
        self.seed = int(self.arrays['seed'])
        self._inputs = runpy.run_path(str(inputs))

    def __getitem__(self, name):
        return self.arrays[name]

    def make(self, function, *args, **options):
        """What a function of the inputs gives for this seed; arrays as tensors."""
        made = self._inputs[function](self.seed, *args, **options)
        return torch.from_numpy(made) if isinstance(made, np.ndarray) else made

    def check(self, values, tolerances):
        """Compare arrays by name.

        Args:
            values (dict): What this project computes; NaN where the others do.
            tolerances (dict): Pattern of names to the largest deviation allowed, relative to the
                array's largest value, in ``grad_norms`` to each value itself. Of the patterns
                that fit a name the last one counts; at least one must.
        """
        wrong = {}
        for name, value in values.items():
            expected, value = self.arrays[name].astype(float), np.asarray(value, float)
            assert value.shape == expected.shape, (name, value.shape, expected.shape)
            tolerance = [limit for pattern, limit in tolerances.items()
                         if re.fullmatch(pattern, name)][-1]
            scale = np.abs(expected) if name.endswith('grad_norms') else np.nanmax(
                np.abs(expected), initial=0)
            close = np.abs(value - expected) <= tolerance * scale
            if not (close | np.isnan(expected) & np.isnan(value)).all():
                wrong[name] = np.nanmax(np.abs(value - expected) / scale)
        assert not wrong

    def check_complete(self, prefix, values, other=()):
        """Every array whose name starts so is among the values, or fits a pattern in ``other``."""
        names = {name for name in self.arrays if name.startswith(prefix)
                 and not any(re.fullmatch(pattern, name) for pattern in other)}
        assert names == set(values)


@pytest.fixture(scope='session')
def wsoleval_methods(request, shared):
    """CAM, HaS, ACoL, SPG, ADL and CutMix as "Evaluating WSOL Methods Right" has them."""
    return _methods_reference(request, shared)


@pytest.fixture(scope='session')
def author_methods(request, shared):
    """DANet, EIL, Rethinking-CAM, NL-CCAM and KG-CI-CAM as their authors published them."""
    return _methods_reference(request, shared)


def _methods_reference(request, shared):
    _, file, inputs = METHODS[request.fixturename]
    folder = shared / 'parity'
    return MethodsReference(request.param or folder / file, folder / inputs)


@pytest.fixture(scope='session')
def release(shared):
    """Functions that make weights, pool and images from a seed."""
    return SimpleNamespace(**runpy.run_path(str(shared / 'parity' / 'release_state_dict.py')))


@pytest.fixture(scope='session')
def reference(release_reference_path):
    """What the released model computes, with the seed, class count and batch it did so for."""
    with np.load(release_reference_path) as file:
        return dict(file)


@pytest.fixture(scope='session')
def checkpoint(release, reference, tmp_path_factory):
    """The released files of the reference's seed, converted by the command line."""
    folder = tmp_path_factory.mktemp('release')
    release.write_release(folder, int(reference['seed']), int(reference['num_classes']))
    net, pool, out = (
        folder / name
        for name in ('net_train_vgg16_cub.pth', 'mask_train_vgg16_cub.pth', 'converted.pth'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['convert_release.py', *map(str, (net, '--pool', pool, out))])
        runpy.run_path(str(ROOT / 'tools' / 'convert_release.py'), run_name='__main__')
    return out


@pytest.fixture(scope='module')
def model(checkpoint, reference):
    cfg = Config.fromfile(ROOT / 'configs' / 'cicam_vgg16_cub_release.py').model
    cfg.head.num_classes = int(reference['num_classes'])
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model
