from cicam_mm.visualization.curves import draw_sweep


def test_seven_panels_are_in_two_rows():
    figure = draw_sweep({f'metric {i}': {'none': [80, 82], 'own': [81, 85]} for i in range(7)})
    assert [panel.get_title() for panel in figure.axes] == [f'metric {i}' for i in range(7)]
    assert [panel.get_subplotspec().rowspan.start for panel in figure.axes] == [0] * 4 + [1] * 3
    first, below = figure.axes[0], figure.axes[4]
    assert [label.get_text() for label in below.get_yticklabels()] == ['none', 'own']
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first cell is on top


def test_dots_and_mean_of_a_cell():
    """Runs 81 and 85 have the mean 83 and the interval 83 - 12.7 * 2 to 83 + 12.7 * 2."""
    panel, = draw_sweep({'top1': {'none': [80, 82], 'own': [81, 85]}}).axes
    dots = [line for line in panel.lines if list(line.get_xdata()) == [81, 85]]
    assert [list(line.get_ydata()) for line in dots] == [[1, 1]]
    bar = panel.containers[1]
    assert list(bar.lines[0].get_xdata()) == [83]
    assert bar.lines[2][0].get_segments()[0][:, 0].round(1).tolist() == [57.6, 108.4]
