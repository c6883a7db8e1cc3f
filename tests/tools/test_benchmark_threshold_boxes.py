import runpy
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark_threshold_boxes.py'


def test_both_ways_find_the_same_boxes(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, 'argv', [TOOL.name, '--maps', '2', '--size', '56', '--interval', '.02'])
    runpy.run_path(str(TOOL), run_name='__main__')
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and all(line.endswith('same boxes') for line in printed)
