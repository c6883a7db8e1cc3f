"""The report on finished runs: one self-contained HTML page."""
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from cicam_mm.evaluation.protocol import warn_of_differences
from cicam_mm.localization import MAP_RULES
from cicam_mm.version import __version__
from cicam_mm.visualization import STYLES, PictureSource, Style, draw_pool, draw_sample

from .charts import line_chart, scalar_lines, share_chart
from .finished_run import FinishedRun
from .images import EmbeddedImage, embed_picture, embed_svg
from .judged_images import JudgedImages

# autoescape: texts from a run may hold anything
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / 'templates'), autoescape=True,
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

#: Names of the metrics as they are usual in the field.
TITLES = {'top1_cls': 'Top-1 Cls', 'top5_cls': 'Top-5 Cls', 'top1_loc': 'Top-1 Loc',
          'top5_loc': 'Top-5 Loc', 'gt_known_loc': 'GT-known Loc', 'max_box_acc': 'MaxBoxAcc',
          'max_box_acc_v2': 'MaxBoxAccV2', 'pxap': 'PxAP', 'lr': 'learning rate'}
#: Why something is missing.
NEEDS_TRUST = ("the run's config was only read: building what it names can run any code, which "
               'requires --trust-configs.')
#: Logged values that do not describe the result.
UNPLOTTED = {'epoch', 'iter', 'step', 'time', 'data_time', 'memory', 'base_lr'}


class Group(NamedTuple):
    """Images below a heading, preceded by a note."""
    heading: str
    images: list[EmbeddedImage]
    note: str = ''


def build_page(runs: Mapping[str, FinishedRun],
               judged: Mapping[str, JudgedImages | str],
               style: Style = STYLES['paper'],
               title: str = 'Weakly supervised object localization',
               trusts_configs: bool = False) -> str:
    """Build a page with everything about some runs.

    Args:
        runs (Mapping[str, FinishedRun]): Runs by name, in the order of the columns.
        judged (Mapping[str, JudgedImages | str]): For each name, the evaluated predictions, or
            the reason why there are none.
        style (Style): Colours of the pictures. Defaults to the paper's.
        title (str): Headline.
        trusts_configs (bool): Whether the data sets that the runs' configs name may be built, for
            the pictures. Building what a config names can run any code. Defaults to False.

    Returns:
        str: HTML.
    """
    return TEMPLATES.get_template('page.html').render(
        title=title, version=__version__, runs=runs,
        results=_results(runs),
        training=_training(runs),
        thresholds=_thresholds(runs),
        errors=_error_kinds(judged),
        localizations=[*_localizations(runs, judged, style, trusts_configs)],
        pools=[*_pools(runs, style, trusts_configs)],
        settings=_settings(runs))


def _results(runs):
    results = [run.result for run in runs.values()]
    protocols = [result.protocol for result in results]
    names = dict.fromkeys(name for result in results for name in result.metrics)
    return dict(
        numbers=[[_title(name), *(_number(name, result.metrics.get(name)) for result in results)]
                 for name in names],
        protocols=[*([key, *(protocol.get(key, '–') for protocol in protocols)]
                     for key in dict.fromkeys(key for protocol in protocols for key in protocol)),
                   ['result from', *(result.source for result in results)]],
        warning=warn_of_differences(protocols))


def _training(runs):
    keys = dict.fromkeys(key for run in runs.values() for entry in run.scalars for key in entry
                         if key not in UNPLOTTED)
    charts = []
    for key in keys:
        x_key = 'step' if '/' in key else 'iter'  # a validation logs only its epoch
        lines = {name: scalar_lines(run.scalars, key, x_key) for name, run in runs.items()}
        if max(len(x) for x, _ in lines.values()) > 1:
            svg = line_chart(lines, 'epoch' if '/' in key else 'iteration', _title(key))
            charts.append(embed_svg(svg, f'{key} during the training'))
    return charts


def _thresholds(runs):
    searched = {name: run for name, run in runs.items() if run.theta_curve}
    best = []
    for name, run in searched.items():
        if found := run.theta_search:
            chosen = found['best']
            best.append([name, f'{chosen["map_rule"]}, theta {chosen["theta"]:g}',
                         _title(found['by']), f'{found["split"]}, {found["num_images"]} images'])
    return dict(best=best, charts=[chart for name, run in searched.items()
                                   for chart in _theta_charts(name, run.theta_curve)])


def _theta_charts(name, rows):
    for metric in ('gt_known_loc', 'top1_loc'):
        lines = {rule: ([], []) for rule in MAP_RULES}  # a colour each, whatever was searched
        for row in rows:
            x, y = lines.setdefault(row['map_rule'], ([], []))
            x.append(row['theta'])
            y.append(row[metric])
        svg = line_chart(lines, 'theta', f'{_title(metric)} in percent: {name}')
        yield embed_svg(svg, f'{_title(metric)} of {name} over theta')


def _error_kinds(judged):
    runs = {name: found.error_kinds for name, found in judged.items()
            if isinstance(found, JudgedImages)}
    return dict(
        runs=runs,
        shares=[[kind.replace('_', ' '), *(f'{shares[kind]:.1f}' for shares in runs.values())]
                for kind in next(iter(runs.values()), ())],
        chart=embed_svg(share_chart(runs, 'What the predicted boxes are'), 'kinds of errors')
        if runs else None,
        reasons=[f'{name}: {found}' for name, found in judged.items() if isinstance(found, str)])


def _localizations(runs, judged, style, trusts_configs) -> Iterator[Group]:
    for name, found in judged.items():
        if isinstance(found, JudgedImages):
            try:
                yield from _best_and_worst(name, runs[name].config, found, style, trusts_configs)
            except OSError as error:
                yield Group(name, [], f'{name}: no pictures, for {error}')


def _best_and_worst(name, cfg, found, style, trusts_configs):
    dataset = _build_dataset(cfg.test_dataloader.dataset, trusts_configs)
    classes = dataset.metainfo.get('classes')
    pictures = PictureSource(dataset)
    for kind, samples in (('best', found.best), ('worst', found.worst)):
        yield Group(f'{name}: {kind}', [
            embed_picture(draw_sample(pictures.at(sample.sample_idx, sample.get('box_frame')),
                                      sample, classes, style),
                          f'{kind} localizations of {name}, image {sample.sample_idx}')
            for sample in samples])


def _pools(runs, style, trusts_configs) -> Iterator[Group]:
    for name, run in runs.items():
        if run.contexts is None:
            continue
        note = ''
        try:
            dataset = _build_dataset(run.config.train_dataloader.dataset, trusts_configs)
            sheet = draw_pool(run.contexts, dataset, style=style)
        except OSError as error:
            note = f'{name}: no mean images, for {error}'
            sheet = draw_pool(run.contexts, style=style)
        yield Group(name, [embed_picture(sheet, f'context pool of {name}')], note)


def _settings(runs):
    return [
        ['software', *(run.environment for run in runs.values())],
        ['checkpoint', *(run.checkpoint.name if run.checkpoint else 'none'
                         for run in runs.values())],
        ['seed', *(str(run.config.get('randomness', {}).get('seed', 'none'))
                   for run in runs.values())]]


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
