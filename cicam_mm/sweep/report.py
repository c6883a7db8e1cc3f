"""The report on finished runs: one self-contained HTML page."""
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample

from cicam_mm.datasets.wrappers import metainfo_of
from cicam_mm.evaluation.localization_errors import ERROR_KINDS, LocalizationErrors
from cicam_mm.evaluation.protocol import warn_of_differences
from cicam_mm.localization.map_rules import MAP_RULES
from cicam_mm.localization.overlap import box_iou
from cicam_mm.utils.errors import UserError
from cicam_mm.version import __version__
from cicam_mm.visualization.curves import COLORS
from cicam_mm.visualization.overlay import STYLES, Style
from cicam_mm.visualization.pictures import PictureSource
from cicam_mm.visualization.pool_sheet import draw_pool
from cicam_mm.visualization.visualizer import draw_sample

from .finished_run import FinishedRun

PART_COLORS = ('#999999', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#d55e00')

DASHES = ('-', '--', '-.', ':')


def line_chart(lines: Mapping[str, tuple[Sequence, Sequence]], x_label: str, title: str) -> str:
    """A line chart.

    Args:
        lines (Mapping): x and y values by name. Use the same names in every chart of a page, so
            that each keeps its colour; lines without values are left out.
        x_label (str): Quantity and unit of the x axis.
        title (str): Quantity and unit of the y axis.

    Returns:
        str: The SVG.
    """
    figure, axes = _canvas(title)
    for i, (name, (x, y)) in enumerate(lines.items()):
        if not len(x):
            continue
        axes.plot(x, y, label=name, color=COLORS[i % len(COLORS)],
                  linestyle=DASHES[i % len(DASHES)],  # lines that coincide stay visible
                  marker='.' if len(x) < 30 else None)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8, framealpha=0.6)
    return _svg(figure)


def share_chart(bars: Mapping[str, Mapping[str, float]], title: str) -> str:
    """A stacked bar chart with one horizontal bar per name.

    Args:
        bars (Mapping): For each name, the percentage of each part; the parts are the same for
            all names.
        title (str): Description of the parts.

    Returns:
        str: The SVG.
    """
    figure, axes = _canvas(title, height=1.6 + 0.42 * len(bars))
    names, starts = list(bars), [0.] * len(bars)
    for i, part in enumerate(next(iter(bars.values()))):
        values = [bars[name][part] for name in names]
        axes.barh(names, values, left=starts, label=part.replace('_', ' '), height=0.6,
                  color=PART_COLORS[i % len(PART_COLORS)], edgecolor='white')
        for y, (start, value) in enumerate(zip(starts, values, strict=True)):
            if value >= 6:
                axes.text(start + value / 2, y, f'{value:.0f}', ha='center', va='center',
                          color='white', fontsize=8)
        starts = [start + value for start, value in zip(starts, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel('percent of the images')
    figure.legend(loc='outside lower center', ncols=3, fontsize=8, frameon=False)
    return _svg(figure)


def scalar_lines(entries: Iterable[dict], key: str, x_key: str) -> tuple[list, list]:
    """The x and y values of a logged quantity, from the entries that have both."""
    points = [(entry[x_key], entry[key]) for entry in entries if key in entry and x_key in entry]
    return [x for x, _ in points], [y for _, y in points]


def _canvas(title, height=3.):
    figure = Figure(figsize=(4.8, height), layout='constrained')
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)
    return figure, axes


def _svg(figure):
    # without date and random ids, equal runs give equal reports
    with rc_context({'svg.hashsalt': 'cicam_mm'}), StringIO() as text:
        figure.savefig(text, format='svg', metadata={'Date': None})
        return text.getvalue()


class EmbeddedImage(NamedTuple):
    """``source`` is the whole image as a ``data:`` address; ``alt`` describes it."""
    source: str
    alt: str


def embed_svg(svg: str, alt: str) -> EmbeddedImage:
    """Embed an SVG as an image, so that its ids do not collide with those of others."""
    return _embed('image/svg+xml', svg.encode(), alt)


def embed_picture(picture: np.ndarray, alt: str) -> EmbeddedImage:
    """Embed a picture, RGB, uint8, as a JPEG of high quality."""
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _embed('image/jpeg', data.tobytes(), alt)


def _embed(kind, data, alt):
    return EmbeddedImage(f'data:{kind};base64,{b64encode(data).decode()}', alt)


class JudgedImages(NamedTuple):
    """``error_kinds`` in percent of all images; the ``best`` predictions, best first, and the
    ``worst``, worst first, by the IoU of the predicted box."""
    error_kinds: dict[str, float]
    best: list[DataSample]
    worst: list[DataSample]


def judge_images(samples: Iterable[DataSample], count: int = 6) -> JudgedImages:
    """Evaluate predictions in one pass, keeping only the best and the worst in memory.

    Args:
        samples (Iterable[DataSample]): Predictions with ``gt_label`` and ``gt_bboxes``.
        count (int): Number of best predictions, and of worst ones. Defaults to 6.

    Raises:
        ValueError: If an image has no ground-truth box, or there is no image.
    """
    errors, ranked = LocalizationErrors(), []
    for place, sample in enumerate(samples):
        errors.process(None, [sample.to_dict()])
        ranked.append((box_iou(sample.pred_box, sample.gt_bboxes).max(), place, sample))
        if len(ranked) > 20 * count:
            ranked = _ends(ranked, count)
    if not ranked:
        raise UserError('There are no predictions to evaluate.')
    shares = errors.compute_metrics(errors.results)
    ranked = _ends(ranked, count)
    half = min(count, len(ranked) // 2)  # so that no image is in both
    return JudgedImages(
        {kind: shares[kind] for kind in ERROR_KINDS},
        [sample for *_, sample in ranked[::-1][:count if half == count else len(ranked) - half]],
        [sample for *_, sample in ranked[:half]])


def _ends(ranked, count):
    ranked = sorted(ranked, key=lambda judged: judged[:2])
    return ranked if len(ranked) <= 2 * count else ranked[:count] + ranked[-count:]


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
        # a colour each, whatever was searched
        lines = {rule: ([], []) for rule in MAP_RULES.module_dict}
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
    classes = metainfo_of(dataset).get('classes')
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
