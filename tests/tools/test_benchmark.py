import json
import time

import pytest

from benchmarks import pairs


def compared(monkeypatch, *seconds):
    """Two actions that take these seconds in turn, after a first turn that does not count."""
    taken = iter([9., 9., *seconds])
    monkeypatch.setitem(pairs.MEASURES, 'cpu', lambda action: next(taken))
    return pairs.compare('x', dict(one=None, two=None), pairs=len(seconds) // 2, per=2)


def test_ratios_are_of_pairs(monkeypatch):
    """A machine that becomes four times slower half-way changes no ratio."""
    first, second = compared(monkeypatch, 1., 1.5, 4., 6., 4., 6.)
    assert (first.ratio, second.ratio) == (1, pytest.approx(1.5))
    assert (first.figure, second.figure, second.unit) == (2000, 3000, 'ms')
    assert second.low == pytest.approx(1.5) == second.high


def test_interval_of_a_ratio(monkeypatch):
    """Logarithms 0 and log 4: mean log 2, deviation of it log 2, t = 12.706 at one degree."""
    _, row = compared(monkeypatch, 1., 1., 1., 4.)
    assert row.ratio == pytest.approx(2)
    assert (row.low, row.high) == (pytest.approx(2**-11.706, rel=1e-3),
                                   pytest.approx(2**13.706, rel=1e-3))


def test_time_of_others_does_not_count():
    row, = pairs.compare('x', dict(sleep=lambda: time.sleep(.1)), pairs=2)
    assert row.figure < 50


def test_command_writes_what_it_prints(run_tool, capsys, tmp_path):
    out = tmp_path / 'rows.json'
    run_tool('benchmark.py', '--only', 'metrics', '--pairs', '2', '--json', out)
    printed = capsys.readouterr().out
    rows = json.loads(out.read_text())
    assert [row['variant'] for row in rows] == [
        'WSOLMetric', 'LocalizationErrors', 'MaxBoxAcc', 'PxAP']
    assert all(f'{row["ratio"]:.2f} [' in printed for row in rows)
