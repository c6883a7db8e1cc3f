import json

import pytest

from benchmarks import pairs


def test_ratios_are_of_pairs(monkeypatch):
    """A machine that becomes four times slower half-way changes no ratio."""
    seconds = iter([9., 9., 1., 1.5, 4., 6., 4., 6.])  # the first turn does not count
    monkeypatch.setitem(pairs.MEASURES, 'cpu', lambda action: next(seconds))
    first, second = pairs.compare('x', dict(one=None, two=None), pairs=3, per=2)
    assert (first.ratio, second.ratio) == (1, pytest.approx(1.5))
    assert (first.figure, second.figure, second.unit) == (2000, 3000, 'ms')
    assert second.low == pytest.approx(1.5) == second.high


def test_interval_of_a_ratio():
    """Logarithms 0 and log 4: mean log 2, deviation of it log 2, t = 12.706 at one degree."""
    ratio, low, high = pairs.interval([1., 4.])
    assert ratio == pytest.approx(2)
    assert (low, high) == (pytest.approx(2**-11.706, rel=1e-3), pytest.approx(2**13.706, rel=1e-3))


def test_time_of_others_does_not_count():
    import time

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
