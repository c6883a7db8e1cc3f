from math import isnan, sqrt
from pathlib import Path

import pytest

from cicam_mm.sweep.runs import plan_runs
from cicam_mm.sweep.statistics import (
    as_csv,
    as_markdown,
    collect,
    difference_table,
    draw_sweep,
    estimate,
    mean_table,
    paired_difference,
    usual_metrics,
)


def test_mean_deviation_and_interval_by_hand():
    # deviations -1, 0, 1: variance 2 / 2; the quantile of two degrees of freedom from a table
    result = estimate([4., 5, 6])
    assert (result.mean, result.deviation, result.runs) == (5, 1, 3)
    assert result.margin == pytest.approx(4.302653 / sqrt(3))
    single = estimate([7.])
    assert single.mean == 7 and isnan(single.deviation) and not single.is_clear


def test_differences_are_taken_seed_by_seed():
    # 2, 3 and 4 better, though the runs themselves lie 60 apart
    result = paired_difference({2: 72., 0: 12, 1: 43}, {0: 10., 1: 40, 2: 68, 3: 0})
    assert (result.mean, result.deviation, result.runs) == (3, 1, 3)
    assert result.is_clear
    assert not paired_difference({0: 1., 1: -1}, {0: 0., 1: 0}).is_clear
    with pytest.raises(ValueError, match='no seed in common'):
        paired_difference({0: 1.}, {1: 1.})


METHODS = {'A': 'a.py', 'B, too': 'b.py'}


@pytest.fixture
def rows():
    """Seed 2 of the second method is missing."""
    runs = plan_runs(METHODS, {'lr': ['1']}, [0, 1, 2], Path('out'))[:5]
    return [(run, {'loc': loc, 'wsol/top1_cls': 90.}) for run, loc in zip(
        runs, [10., 14., 12., 15., 17.], strict=True)]


def test_csv(rows):
    assert as_csv(rows).splitlines()[:3] == [
        'method,lr,seed,loc,wsol/top1_cls,folder',
        'A,1,0,10.0,90.0,out/A/lr=1/seed_0',
        '"B, too",1,0,14.0,90.0,out/B__too/lr=1/seed_0']


def test_means(rows):
    # 10, 12 and 17: deviations -3, -1 and 4, squared 26
    assert mean_table(collect(rows), ['loc', 'wsol/top1_cls']) == [
        ['', 'runs', 'loc', 'Top-1 Cls'],
        ['A, lr=1', '3', '13.00 ± 3.61', '90.00 ± 0.00'],
        ['B, too, lr=1', '2', '14.50 ± 0.71', '90.00 ± 0.00']]


def test_differences_of_common_seeds(rows):
    # 14 - 10 and 15 - 12: 3.5 with deviation 0.7071, times 12.7062 / sqrt(2)
    assert as_markdown(difference_table(collect(rows), ['loc'], 'A, lr=1')) == (
        '| minus A, lr=1 | pairs | loc |\n| --- | --- | --- |\n'
        '| B, too, lr=1 | 2 | +3.50 [-2.85, +9.85] |\n')
    rows = [(run, dict(loc=metrics['loc'] + 100 * (run.method == 'A'))) for run, metrics in rows]
    cell = difference_table(collect(rows), ['loc'], 'A, lr=1')[1][2]
    assert cell == '-96.50 [-102.85, -90.15] *'


def test_metrics_of_the_field():
    known = ['wsol/top1_cls', 'wsol/top5_cls', 'max_box_acc', 'max_box_acc_threshold', 'theta']
    assert usual_metrics(known) == ['wsol/top1_cls', 'max_box_acc']
    assert usual_metrics(['accuracy/top1']) == ['accuracy/top1']


def test_seven_panels_are_in_two_rows():
    figure = draw_sweep({f'metric {i}': {'none': [80, 82], 'own': [81, 85]} for i in range(7)})
    assert [panel.get_title() for panel in figure.axes] == [f'metric {i}' for i in range(7)]
    assert [panel.get_subplotspec().rowspan.start for panel in figure.axes] == [0] * 4 + [1] * 3
    first, below = figure.axes[0], figure.axes[4]
    assert [label.get_text() for label in below.get_yticklabels()] == ['none', 'own']
    assert first.get_ylim() == (1.5, -.5)  # the first cell is on top, and whole


def test_dots_and_mean_of_a_cell():
    """Runs 81 and 85 have the mean 83 and the interval 83 - 12.7 * 2 to 83 + 12.7 * 2."""
    panel, = draw_sweep({'top1': {'none': [80, 82], 'own': [81, 85]}}).axes
    dots = [line for line in panel.lines if list(line.get_xdata()) == [81, 85]]
    assert [list(line.get_ydata()) for line in dots] == [[1, 1]]
    bar = panel.containers[1]
    assert list(bar.lines[0].get_xdata()) == [83]
    assert bar.lines[2][0].get_segments()[0][:, 0].round(1).tolist() == [57.6, 108.4]
