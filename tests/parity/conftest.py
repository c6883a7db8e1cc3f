"""Outputs of other codes, each a fixture by which a test compares what this project computes."""
import re
import runpy

import numpy as np
import pytest
import torch

# Fixtures: the option that gives files instead of the shared one, an array by which such a file is
# known, the shared file, and the script that rebuilds the inputs.
REFERENCES = {
    # CI-CAM as released, on VGG16 and on InceptionV3
    'release': ('--release-reference', 'eval_features', 'release_reference_seed6.npz',
                'release_state_dict.py'),
    'release_inception': ('--release-reference', 'eval_feat_names',
                          'release_inception_reference_seed6.npz',
                          'release_inception_state_dict.py'),
    # CAM, HaS, ACoL, SPG, ADL and CutMix by "Evaluating WSOL Methods Right"
    'wsoleval_methods': ('--methods-reference', 'cam_logits',
                         'wsoleval_methods_reference_seed3.npz', 'rivals_inputs.py'),
    # DANet, EIL, Rethinking-CAM, NL-CCAM and KG-CI-CAM by their authors
    'author_methods': ('--methods-reference', 'danet_commit',
                       'author_methods_reference_seed3.npz', 'rivals_inputs_b.py'),
    # BAS, DDT, PSOL and more of KG-CI-CAM by their authors
    'bas_psol': ('--methods-reference', 'bas_commit', 'bas_psol_reference_seed3.npz',
                 'bas_psol_inputs.py'),
    # TS-CAM and SCM by their authors, on a small DeiT
    'transformers': ('--methods-reference', 'tscam_commit', 'tscam_reference_seed3.npz',
                     'transformer_inputs.py'),
}
# What tells how arrays were made.
INFORMATION = r'.*_(names|commit|margins?|delta|lr10|drawn2?|options?(_.*)?|thresholds(_.)?)'


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
    """Outputs of another code, by name, and the functions that rebuild their inputs."""

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
        """A constant of the inputs, or a function as it is."""
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
            value = np.asarray(value.detach().cpu() if torch.is_tensor(value) else value, float)
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
        """Compare all arrays whose name starts so, except those that match ``other``.

        ``values`` has the names without the prefix.
        """
        values = {prefix + name: value for name, value in values.items()}
        self.check(values, tolerances)
        self.check_complete(prefix, values, other)

    def check_complete(self, prefix, names, other=()):
        """Every array whose name starts so is among the names, matches ``other`` or informs."""
        left = [name for name in self.arrays if name.startswith(prefix) and name not in names
                and not any(re.fullmatch(pattern, name) for pattern in (INFORMATION, *other))]
        assert not left


def _reference(request, shared):
    _, _, file, inputs = REFERENCES[request.fixturename]
    folder = shared / 'parity'
    return MethodsReference(request.param or folder / file, folder / inputs)


for name in REFERENCES:
    globals()[name] = pytest.fixture(_reference, scope='session', name=name)
