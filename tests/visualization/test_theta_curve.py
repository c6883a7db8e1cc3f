from cicam_mm.localization import MAP_RULES
from cicam_mm.visualization.curves import draw_theta_curves


def test_a_panel_for_each_metric_with_a_line_for_each_rule():
    thetas = [0, .5, .75]
    curves = {'Top-1 Loc': dict(linear=[1, 2, 3], top1=[5, 4, 3]),
              'GT-known Loc': dict(linear=[6, 7, 8], top1=[8, 9, 7])}
    figure = draw_theta_curves(curves, thetas, ('top1', .5), 'on 3 images')
    assert [axes.get_title() for axes in figure.axes] == ['Top-1 Loc', 'GT-known Loc']
    for axes, lines in zip(figure.axes, curves.values(), strict=True):
        *rules, star = axes.get_lines()
        assert {line.get_label(): list(line.get_ydata()) for line in rules} == lines
        assert (star.get_xdata(), star.get_ydata()) == ([.5], [lines['top1'][1]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        'linear', 'top1', 'best: top1, 0.5']


def test_a_rule_has_one_color():
    def colors(*rules):
        lines = {'': {rule: [1.] for rule in rules}}
        axes, = draw_theta_curves(lines, [0], (rules[0], 0), '').axes
        return {line.get_label(): line.get_color() for line in axes.get_lines()[:-1]}

    all_rules = colors(*MAP_RULES.module_dict)
    assert len(set(all_rules.values())) == len(MAP_RULES.module_dict)
    for rules in ('quadratic', 'top1'), ('mean', 'top1', 'quadratic'):
        assert colors(*rules) == {rule: all_rules[rule] for rule in rules}
