from pathlib import Path

import pytest
from mmengine.config import Config

from cicam_mm.checkpoints.plain import read_plain_config

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_plain_values():
    text = """
a = 1  # comment
b = [-2.5e-3, (True, None), 'x' 'y', ()]
c = dict(d={'e.f': 1, 2: dict()}, g=dict({'h i': 3}, j=4))
gpu_ids = range(0, 4)
a = 2
"""
    assert read_plain_config(text) == dict(
        a=2, b=[-.0025, (True, None), 'xy', ()], gpu_ids=range(4),
        c={'d': {'e.f': 1, 2: {}}, 'g': {'h i': 3, 'j': 4}})


@pytest.mark.parametrize(
    'path', sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts),
    ids=lambda path: path.stem)
def test_every_config_is_read_as_mmengine_writes_it(path):
    cfg = Config.fromfile(path)
    assert read_plain_config(cfg.pretty_text) == cfg.to_dict()


@pytest.mark.parametrize('text', [
    'a = print(1)', 'a = b', 'a = [b for b in ()]', 'a = 1 + 1', "a = 'x' * 10**9", 'a = f"{1}"',
    'a = {**{}}', 'a = dict(**{})', 'a = dict([])', 'a = dict({}, {})', 'a = {(1, ): 2}',
    'a = range(b)', 'a = range(1, 2, 3, 4)', 'a = b = 1', 'a.b = 1', 'a[0] = 1', 'a: int = 1',
    'a += 1', 'import a', 'del a', 'print(1)', "'text'", 'pass', 'a = lambda: 1', 'a = 1j',
    "a = b'x'", 'a = ...', 'a = (b := 1)', 'a = -(1, )', 'a = {1}', 'with a: b = 1'])
def test_anything_else_is_code(text):
    with pytest.raises(ValueError, match='^line 2 holds code instead of a plain value .* not run'):
        read_plain_config(f'x = 1\n{text}')


@pytest.mark.parametrize('text, says', [
    ('a = ', 'line 1 is not a setting'), ('a = 1\n  b = 2', 'line 2 is not a setting'),
    ('a = ' + '[' * 300 + ']' * 300, 'too many nested'),
    ('a = ' + '-' * 50_000 + '1', 'nested too deeply'),
    ('a = 1\0', 'null'), ('#' * 2**20 + '\n', 'has 1048577 characters, more than 1048576'),
    (7, 'a config must be text, not int')])
def test_what_is_no_config(text, says):
    with pytest.raises(ValueError, match=says):
        read_plain_config(text)
