from pathlib import Path

import pytest

from cicam_mm.sweep.runs import plan_runs
from cicam_mm.sweep.statistics import as_csv, as_markdown, collect, difference_table, mean_table

METHODS = {'A': 'a.py', 'B, too': 'b.py'}


@pytest.fixture
def rows():
    """Seed 2 of the second method is missing."""
    runs = plan_runs(METHODS, {'lr': ['1']}, [0, 1, 2], Path('out'))[:5]
    return [(run, dict(loc=loc, cls=90.)) for run, loc in zip(
        runs, [10., 14., 12., 15., 17.], strict=True)]


def test_csv(rows):
    assert as_csv(rows).splitlines()[:3] == [
        'method,lr,seed,loc,cls,folder',
        'A,1,0,10.0,90.0,out/A/lr=1/seed_0',
        '"B, too",1,0,14.0,90.0,out/B__too/lr=1/seed_0']


def test_means(rows):
    # 10, 12 and 17: deviations -3, -1 and 4, squared 26
    assert mean_table(collect(rows), ['loc', 'cls']) == [
        ['', 'runs', 'loc', 'cls'],
        ['A, lr=1', '3', '13.00 ± 3.61', '90.00 ± 0.00'],
        ['B, too, lr=1', '2', '14.50 ± 0.71', '90.00 ± 0.00']]


def test_differences_of_common_seeds(rows):
    # 14 - 10 and 15 - 12: 3.5 with deviation 0.7071, times 12.7062 / sqrt(2)
    assert difference_table(collect(rows), ['loc'], 'A, lr=1') == [
        ['minus A, lr=1', 'pairs', 'loc'],
        ['B, too, lr=1', '2', '+3.50 [-2.85, +9.85]']]


def test_clear_differences_are_marked(rows):
    rows = [(run, dict(loc=metrics['loc'] + 100 * (run.method == 'A'))) for run, metrics in rows]
    cell = difference_table(collect(rows), ['loc'], 'A, lr=1')[1][2]
    assert cell == '-96.50 [-102.85, -90.15] *'


def test_markdown():
    assert as_markdown([['a', 'b'], ['1', '2']]) == '| a | b |\n| --- | --- |\n| 1 | 2 |\n'
