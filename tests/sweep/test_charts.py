import re
from xml.etree import ElementTree

from cicam_mm.sweep.report import line_chart, scalar_lines, share_chart
from cicam_mm.visualization.curves import COLORS


def test_lines_keep_their_colors():
    svg = line_chart({'a': ([], []), 'b': ([0, 1], [2, 3])}, 'epoch', 'loss & more')
    ElementTree.fromstring(svg)
    assert COLORS[1] in svg and COLORS[0] not in svg


def test_charts_are_reproducible():
    lines = {'a': ([0, 1], [2, 3]), 'b': ([0], [1])}
    assert line_chart(lines, 'x', 'y') == line_chart(lines, 'x', 'y')


def test_shares_as_bars():
    svg = share_chart({'CAM': dict(correct=60., part=40.), 'CI-CAM': dict(correct=100., part=0.)},
                      'kinds')
    ElementTree.fromstring(svg)
    assert len(re.findall('<svg', svg)) == 1


def test_points_of_a_logged_value():
    entries = [dict(iter=1, loss=3), dict(step=1, acc=5), dict(iter=2, loss=4)]
    assert scalar_lines(entries, 'loss', 'iter') == ([1, 2], [3, 4])
    assert scalar_lines(entries, 'acc', 'step') == ([1], [5])
