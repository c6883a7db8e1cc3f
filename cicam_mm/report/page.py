"""The report on finished runs: one HTML page that needs nothing from outside."""
from collections.abc import Mapping
from html import escape

import numpy as np
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from cicam_mm.evaluation.protocol import takes_input
from cicam_mm.version import __version__
from cicam_mm.visualization import (
    STYLES,
    PictureSource,
    Style,
    class_name,
    draw_pool_sheet,
    draw_sample,
    mean_images,
)

from .charts import line_chart, scalar_lines, share_chart
from .finished_run import FinishedRun
from .judged_images import JudgedImages
from .markup import grid, note, picture_figure, svg_figure, table
from .style_sheet import STYLE_SHEET

#: Classes on a pool sheet.
SHEET_CLASSES = 12
#: Names as the field writes them.
TITLES = {'top1_cls': 'Top-1 Cls', 'top5_cls': 'Top-5 Cls', 'top1_loc': 'Top-1 Loc',
          'top5_loc': 'Top-5 Loc', 'gt_known_loc': 'GT-known Loc', 'max_box_acc': 'MaxBoxAcc',
          'max_box_acc_v2': 'MaxBoxAccV2', 'pxap': 'PxAP', 'lr': 'learning rate'}
#: Why something is missing.
NEEDS_TRUST = ("the run's config was only read: building what it names can run any code, so that "
               'takes --trust-configs.')
#: Logged values that tell nothing about the result.
UNPLOTTED = {'epoch', 'iter', 'step', 'time', 'data_time', 'memory', 'base_lr'}


def build_page(runs: Mapping[str, FinishedRun],
               judged: Mapping[str, JudgedImages | str],
               style: Style = STYLES['paper'],
               title: str = 'Weakly supervised object localization',
               trusts_configs: bool = False) -> str:
    """Put everything about some runs on one page.

    Args:
        runs (Mapping[str, FinishedRun]): Name to run, in the order of the columns.
        judged (Mapping[str, JudgedImages | str]): Name to the judged predictions, or to the
            reason why there are none.
        style (Style): Colours of the pictures. Defaults to the paper's.
        title (str): Headline.
        trusts_configs (bool): Whether the data sets that the runs' configs name may be built, for
            the pictures. Building what a config names can run any code. Defaults to False.

    Returns:
        str: HTML.
    """
    sections = {
        'Results': _results(runs),
        'Training': _training(runs),
        'Threshold': _thresholds(runs),
        'Kinds of errors': _error_kinds(judged),
        'Best and worst localizations': _localizations(runs, judged, style, trusts_configs),
        'Causal context pool': _pools(runs, style, trusts_configs),
        'Versions and settings': _settings(runs),
    }
    body = '\n'.join(f'<section>\n<h2>{name}</h2>\n{content}\n</section>'
                     for name, content in sections.items() if content)
    return f'''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{STYLE_SHEET}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(', '.join(runs))}</p>
{body}
<footer>Made by tools/report.py of cicam_mm {__version__}.</footer>
</body>
</html>
'''


def _results(runs):
    results = {name: run.result for name, run in runs.items()}
    protocols = [result.protocol for result in results.values()]
    rows = [[key, *(protocol[key] for protocol in protocols)] for key in protocols[0]]
    rows.append(['result from', *(result.source for result in results.values())])
    names = dict.fromkeys(name for result in results.values() for name in result.metrics)
    values = [[_title(name), *(_number(name, result.metrics.get(name))
                               for result in results.values())]
              for name in names]
    compared = {tuple(protocol[key] for key in ('views', 'boxes', 'images'))
                for protocol in protocols}
    warning = note('These runs were tested in different ways; compare only numbers of one '
                   'protocol.') if len(compared) > 1 else ''
    return '\n'.join([
        '<p>Shares in percent; thresholds as shares of the maximum.</p>',
        table(['', *runs], values), '<h3>Protocol</h3>',
        '<p>How each result was tested. A metrics.json that does not say so is taken to be made '
        "with the run's config.</p>",
        warning, table(['', *runs], rows, is_text=True)])


def _training(runs):
    keys = dict.fromkeys(key for run in runs.values() for entry in run.scalars for key in entry
                         if key not in UNPLOTTED)
    figures = []
    for key in keys:
        x_key = 'step' if '/' in key else 'iter'  # a validation knows its epoch only
        lines = {name: scalar_lines(run.scalars, key, x_key) for name, run in runs.items()}
        if max(len(x) for x, _ in lines.values()) > 1:
            svg = line_chart(lines, 'epoch' if '/' in key else 'iteration', _title(key))
            figures.append(svg_figure(svg, f'{key} during the training'))
    return grid(figures) if figures else note('Less than two entries were logged.')


def _thresholds(runs):
    searched = {name: run for name, run in runs.items() if run.theta_curve}
    figures = [figure for name, run in searched.items()
               for figure in _theta_figures(name, run.theta_curve)]
    rows = []
    for name, run in searched.items():
        if found := run.theta_search:
            best = found['best']
            rows.append([name, f'{best["map_rule"]}, theta {best["theta"]:g}', _title(found['by']),
                         f'{found["split"]}, {found["num_images"]} images'])
    return figures and '\n'.join([
        "<p>Accuracy over the threshold theta, a share of the map's maximum, for each rule that "
        'combines the maps.</p>', grid(figures),
        table(['', 'best', 'by', 'searched on'], rows, is_text=True) if rows else ''])


def _theta_figures(name, rows):
    for metric in ('gt_known_loc', 'top1_loc'):
        lines = {}
        for row in rows:
            x, y = lines.setdefault(row['map_rule'], ([], []))
            x.append(row['theta'])
            y.append(row[metric])
        svg = line_chart(lines, 'theta', f'{_title(metric)} in percent: {name}')
        yield svg_figure(svg, f'{_title(metric)} of {name} over theta')


def _error_kinds(judged):
    bars = {name: found.error_kinds for name, found in judged.items()
            if isinstance(found, JudgedImages)}
    reasons = [note(f'{name}: {found}') for name, found in judged.items()
               if isinstance(found, str)]
    if not bars:
        return '\n'.join(reasons)
    rows = [[kind.replace('_', ' '), *(f'{shares[kind]:.1f}' for shares in bars.values())]
            for kind in next(iter(bars.values()))]
    chart = svg_figure(share_chart(bars, 'What the predicted boxes are'), 'kinds of errors')
    return '\n'.join([
        '<p>Every image counts once: a wrong class; else correct (IoU above 0.5); else several '
        'instances in one box, a part of the object, more than the object, or something else.</p>',
        grid([chart, f'<figure>{table(["percent", *bars], rows)}</figure>']), *reasons])


def _localizations(runs, judged, style, trusts_configs):
    parts = []
    for name, found in judged.items():
        if isinstance(found, JudgedImages):
            try:
                parts += _best_and_worst(name, runs[name].config, found, style, trusts_configs)
            except OSError as error:
                parts.append(note(f'{name}: no pictures, for {error}'))
    return parts and '\n'.join([
        '<p>By the IoU of the predicted box (green or blue) with the ground truth (red or orange)'
        '.</p>', *parts])


def _best_and_worst(name, cfg, found, style, trusts_configs):
    dataset = _build_dataset(cfg.test_dataloader.dataset, trusts_configs)
    classes = dataset.metainfo.get('classes')
    pictures = PictureSource(dataset, takes_input(cfg))
    for kind, samples in (('best', found.best), ('worst', found.worst)):
        figures = [
            picture_figure(draw_sample(pictures.at(sample.sample_idx), sample, classes, style),
                           f'{kind} localizations of {name}, image {sample.sample_idx}')
            for sample in samples]
        yield f'<h3>{escape(name)}: {kind}</h3>\n{grid(figures)}'


def _pools(runs, style, trusts_configs):
    parts = []
    for name, run in runs.items():
        if run.contexts is None:
            continue
        labels = range(min(SHEET_CLASSES, len(run.contexts)))
        try:
            dataset = _build_dataset(run.config.train_dataloader.dataset, trusts_configs)
            means = mean_images(dataset, labels)
            classes = dataset.metainfo.get('classes')
        except OSError as error:
            parts.append(note(f'{name}: no mean images, for {error}'))
            means, classes = np.full((len(labels), 224, 224, 3), 255, np.uint8), None
        sheet = draw_pool_sheet(run.contexts[:len(labels)], means,
                                [class_name(label, classes) for label in labels], style)
        parts += [f'<h3>{escape(name)}</h3>', picture_figure(sheet, f'context pool of {name}')]
    return parts and '\n'.join([
        '<p>What the pool holds for a class (Q in Eq. 7), beside the mean of its training images.'
        '</p>', *parts])


def _settings(runs):
    rows = [['software', *(run.environment for run in runs.values())],
            ['checkpoint', *(run.checkpoint.name if run.checkpoint else 'none'
                             for run in runs.values())],
            ['seed', *(str(run.config.get('randomness', {}).get('seed', 'none'))
                       for run in runs.values())]]
    configs = [f'<details><summary>Config of {escape(name)}</summary>\n'
               f'<pre>{escape(run.config_text)}</pre></details>' for name, run in runs.items()]
    return '\n'.join([table(['', *runs], rows, is_text=True), *configs])


def _build_dataset(cfg, is_trusted):
    if not is_trusted:
        raise PermissionError(NEEDS_TRUST)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(cfg)


def _number(name, value):
    if value is None:
        return '–'
    return f'{value:.3f}' if name.endswith('threshold') else f'{value:.1f}'


def _title(name):
    return TITLES.get(name.removeprefix('wsol/'), name)
