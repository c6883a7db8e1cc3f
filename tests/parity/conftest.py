import re
import runpy
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

# Fixtures with outputs of other codes: the option that gives files instead of the shared one, an
# array by which such a file is known, the shared file, and the script that rebuilds the inputs.
REFERENCES = {
    'reference': ('--release-reference', 'eval_features', 'release_reference_seed6.npz',
                  'release_state_dict.py'),
    'inception_reference': ('--release-reference', 'eval_feat_names',
                            'release_inception_reference_seed6.npz',
                            'release_inception_state_dict.py'),
    'wsoleval_methods': ('--methods-reference', 'cam_logits',
                         'wsoleval_methods_reference_seed3.npz', 'rivals_inputs.py'),
    'author_methods': ('--methods-reference', 'danet_commit',
                       'author_methods_reference_seed3.npz', 'rivals_inputs_b.py'),
    'bas_psol': ('--methods-reference', 'bas_commit', 'bas_psol_reference_seed3.npz',
                 'bas_psol_inputs.py'),
    'transformers': ('--methods-reference', 'tscam_commit', 'tscam_reference_seed3.npz',
                     'transformer_inputs.py'),
}


def pytest_generate_tests(metafunc):
    """Tests of these fixtures run once for each file that holds what they compare."""
    for name in REFERENCES.keys() & set(metafunc.fixturenames):
        option = REFERENCES[name][0]
        given = metafunc.config.getoption(option)
        files = [path for path in given if _kind(path, option) == name] if given else [None]
        metafunc.parametrize(name, files, indirect=True, scope='session',
                             ids=lambda path: path.stem if path else 'shared')


def _kind(path, wanted):
    with np.load(path) as file:
        kinds = [name for name, (option, array, *_) in REFERENCES.items()
                 if option == wanted and array in file]
    if not kinds:
        raise pytest.UsageError(f'{path} holds no outputs that {wanted} takes')
    return kinds[0]


class MethodsReference:
    """Outputs of other codes, by name, and the functions that rebuild their inputs."""

    def __init__(self, path, inputs):
        with np.load(path) as file:
            self.arrays = dict(file)
        # some files tell their seed by their name alone
        self.seed = int(self.arrays.get('seed', re.search(r'\d+$', path.stem)[0]))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(inputs.parent)  # the script may import another one there
            self._inputs = runpy.run_path(str(inputs))

    def __getitem__(self, name):
        return self.arrays[name]

    def constant(self, name):
        """A constant of the inputs."""
        return self._inputs[name]

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
            value = np.asarray(value.detach() if torch.is_tensor(value) else value, float)
            expected = self.arrays[name].astype(float)
            assert value.shape == expected.shape, (name, value.shape, expected.shape)
            tolerance = [limit for pattern, limit in tolerances.items()
                         if re.fullmatch(pattern, name)][-1]
            scale = np.abs(expected) if name.endswith('grad_norms') else np.max(
                np.abs(np.nan_to_num(expected)), initial=0)
            close = np.abs(value - expected) <= tolerance * scale
            if not (close | np.isnan(expected) & np.isnan(value)).all():
                wrong[name] = np.nanmax(np.abs(value - expected) / scale)
        assert not wrong

    def compare(self, prefix, values, tolerances, other=()):
        """Compare arrays by name: all whose name starts so, but those in ``other``."""
        self.check(values, tolerances)
        self.check_complete(prefix, values, other)

    def check_complete(self, prefix, values, other=()):
        """Every array whose name starts so is among the values, or fits a pattern in ``other``."""
        names = {name for name in self.arrays if name.startswith(prefix)
                 and not any(re.fullmatch(pattern, name) for pattern in other)}
        assert names == set(values)


def _reference_files(request, shared):
    """The outputs a fixture holds, and the script that rebuilds their inputs."""
    _, _, file, inputs = REFERENCES[request.fixturename]
    folder = shared / 'parity'
    return request.param or folder / file, folder / inputs


def _methods_reference(request, shared):
    return MethodsReference(*_reference_files(request, shared))


# CAM, HaS, ACoL, SPG, ADL and CutMix by "Evaluating WSOL Methods Right"; DANet, EIL,
# Rethinking-CAM, NL-CCAM and KG-CI-CAM; BAS, DDT, PSOL and more of KG-CI-CAM; TS-CAM and SCM on a
# small DeiT, all by their authors.
wsoleval_methods, author_methods, bas_psol, transformers = (
    pytest.fixture(_methods_reference, scope='session', name=name)
    for name in ('wsoleval_methods', 'author_methods', 'bas_psol', 'transformers'))


@pytest.fixture(scope='session')
def release(shared):
    """Functions that make weights, pool and images from a seed."""
    return SimpleNamespace(**runpy.run_path(str(shared / 'parity' / 'release_state_dict.py')))


def _arrays(request, shared):
    with np.load(_reference_files(request, shared)[0]) as file:
        return dict(file)


# What the released models on VGG16 and on InceptionV3 compute, with seed, class count and batch.
reference, inception_reference = (
    pytest.fixture(_arrays, scope='session', name=name)
    for name in ('reference', 'inception_reference'))


@pytest.fixture(scope='session')
def checkpoint(release, reference, run_tool, tmp_path_factory):
    """The released files of the reference's seed, converted by the command line."""
    folder = tmp_path_factory.mktemp('release')
    release.write_release(folder, int(reference['seed']), int(reference['num_classes']))
    net, pool, out = (
        folder / name
        for name in ('net_train_vgg16_cub.pth', 'mask_train_vgg16_cub.pth', 'converted.pth'))
    run_tool('convert_release.py', net, '--pool', pool, out)
    return out


@pytest.fixture(scope='module')
def model(checkpoint, reference):
    cfg = Config.fromfile(ROOT / 'configs' / 'cicam_vgg16_cub_release.py').model
    cfg.head.num_classes = int(reference['num_classes'])
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model
