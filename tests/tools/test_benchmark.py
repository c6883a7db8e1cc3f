import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from benchmarks import timing
    return timing


def test_actions_take_turns(timing):
    turns = []
    seconds = timing.alternate({'a': lambda: turns.append('a'), 'b': lambda: turns.append('b')},
                               rounds=2)
    assert turns == ['a', 'b'] * 3  # the first is for warming up
    assert {name: len(times) for name, times in seconds.items()} == {'a': 2, 'b': 2}


def test_ratios_are_of_pairs(timing):
    """A machine that becomes four times slower half-way changes no ratio."""
    first, second = timing.compare('x', {'one': [1., 4., 4.], 'two': [1.5, 6., 6.]}, per=2)
    assert (first.ratio, second.ratio) == (1, 1.5)
    assert (first.figure, second.figure, second.unit) == (2000, 3000, 'ms')


def test_command_writes_what_it_prints(tmp_path):
    out = tmp_path / 'rows.json'
    done = subprocess.run(
        [sys.executable, str(TOOLS / 'benchmark.py'), '--only', 'testing', '--rounds', '1',
         '--json', str(out)], capture_output=True, text=True, check=True)
    rows = json.loads(out.read_text())
    assert [row['variant'] for row in rows] == [
        '200 classes', '10 classes', '1,000 classes', '21,841 classes']
    for row in rows:  # of one round
        assert row['ratio'] == pytest.approx(row['figure'] / rows[0]['figure'])
        assert f"{row['ratio']:.2f}" in done.stdout
