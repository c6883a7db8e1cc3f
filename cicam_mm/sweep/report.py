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
from mmpretrain.evaluation import ConfusionMatrix
from mmpretrain.structures import DataSample

from cicam_mm.datasets.wrappers import build_dataset
from cicam_mm.evaluation.localization_errors import ERROR_KINDS, LocalizationErrors
from cicam_mm.evaluation.protocol import protocol_text, warn_of_differences
from cicam_mm.localization.map_rules import MAP_RULES
from cicam_mm.localization.overlap import box_iou
from cicam_mm.utils.errors import UserError
from cicam_mm.version import __version__
from cicam_mm.visualization.curves import COLORS
from cicam_mm.visualization.overlay import STYLES, Style
from cicam_mm.visualization.pictures import PictureSource, sample_name
from cicam_mm.visualization.pool_sheet import draw_pool
from cicam_mm.visualization.visualizer import class_name, draw_sample

from .finished_run import FinishedRun
from .statistics import title_of

PART_COLORS = ('#999999', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#d55e00')

DASHES = ('-', '--', '-.', ':')

# autoescape: texts from a run may hold anything
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / 'templates'), autoescape=True,
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

#: Why something is missing.
NEEDS_TRUST = ("the run's config was only read: building what it names can run any code, which "
               'requires --trust-configs.')

#: Logged values that do not describe the result.
UNPLOTTED = {'epoch', 'iter', 'step', 'time', 'data_time', 'memory', 'base_lr'}


class EmbeddedImage(NamedTuple):
    """``source`` is the whole image as a ``data:`` address; ``alt`` describes it."""
    source: str
    alt: str
    caption: str = ''


def line_chart(lines: Mapping[str, tuple[Sequence, Sequence]], x_label: str,
               title: str) -> EmbeddedImage:
    """A line chart of x and y values by name.

    Use the same names in every chart of a page, so that each keeps its colour; lines without
    values are left out.
    """
    figure, axes = _canvas(title)
    for i, (name, (x, y)) in enumerate(lines.items()):
        if len(x):
            axes.plot(x, y, label=name, color=COLORS[i % len(COLORS)],
                      linestyle=DASHES[i % len(DASHES)],  # lines that coincide stay visible
                      marker='.' if len(x) < 30 else None)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8, framealpha=0.6)
    return _embed_figure(figure, title)


def share_chart(bars: Mapping[str, Mapping[str, float]], title: str) -> EmbeddedImage:
    """A stacked horizontal bar per name, of percentages of the same parts."""
    figure, axes = _canvas(title, height=1.6 + 0.42 * len(bars))
    names, starts = list(bars), [0.] * len(bars)
    for part, color in zip(next(iter(bars.values())), PART_COLORS, strict=False):
        values = [bars[name][part] for name in names]
        drawn = axes.barh(names, values, left=starts, label=part.replace('_', ' '), height=0.6,
                          color=color, edgecolor='white')
        axes.bar_label(drawn, [f'{value:.0f}' if value >= 6 else '' for value in values],
                       label_type='center', color='white', fontsize=8)
        starts = [start + value for start, value in zip(starts, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel('percent of the images')
    figure.legend(loc='outside lower center', ncols=3, fontsize=8, frameon=False)
    return _embed_figure(figure, title)


def confusion_chart(confusion: np.ndarray, title: str) -> EmbeddedImage:
    """A confusion matrix, as shares of the images of each class."""
    figure, axes = _canvas(title, height=4.)
    shares = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap='viridis', vmin=0, vmax=100, interpolation='nearest')
    axes.set(xlabel='predicted class', ylabel='class')
    figure.colorbar(image, label='percent of the images of the class', shrink=0.8)
    return _embed_figure(figure, title)


def _canvas(title, height=3.):
    figure = Figure(figsize=(4.8, height), layout='constrained')
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)
    return figure, axes


def _embed_figure(figure, alt):
    # as an image, so that its ids do not collide with those of others; without date and random
    # ids, equal runs give equal reports
    with rc_context({'svg.hashsalt': 'cicam_mm'}), StringIO() as text:
        figure.savefig(text, format='svg', metadata={'Date': None})
        return _embed('image/svg+xml', text.getvalue().encode(), alt)


def _embed_picture(picture, alt, caption=''):
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _embed('image/jpeg', data.tobytes(), alt, caption)


def _embed(kind, data, alt, caption=''):
    return EmbeddedImage(f'data:{kind};base64,{b64encode(data).decode()}', alt, caption)


class JudgedImages(NamedTuple):
    """What predictions are like.

    Attributes:
        error_kinds: In percent of all images.
        best: Predictions with the highest IoU of the predicted box, the highest first.
        worst: Those with the lowest, the lowest first.
        confusion: Number of images by class and predicted class, (n, n).
        hits: Number of images by class whose class is right and whose IoU is at least 0.5, (n, ).
        classes: Names of the classes, or None.
    """
    error_kinds: dict[str, float]
    best: list[DataSample]
    worst: list[DataSample]
    confusion: np.ndarray
    hits: np.ndarray
    classes: Sequence[str] | None = None


def judge_images(samples: Iterable[DataSample], count: int = 6,
                 classes: Sequence[str] | None = None) -> JudgedImages:
    """Evaluate predictions with ground truth in one pass, keeping ``count`` at each end."""
    errors, ranked, judged = LocalizationErrors(), [], []
    for place, sample in enumerate(samples):
        errors.process(None, [sample.to_dict()])
        iou = box_iou(sample.pred_box, sample.gt_bboxes).max(initial=0)
        judged.append((int(sample.gt_label), int(sample.pred_label), iou >= 0.5))
        if len(sample.gt_bboxes):
            ranked.append((iou, place, sample))
        if len(ranked) > 20 * count:
            ranked = _ends(ranked, count)
    if not ranked:
        raise UserError('There are no predictions to evaluate.')
    shares = errors.compute_metrics(errors.results)
    ranked = _ends(ranked, count)
    half = min(count, len(ranked) // 2)  # so that no image is among both
    truth, predicted, found = np.array(judged).T
    size = max(truth.max(), predicted.max()) + 1
    return JudgedImages(
        {kind: shares[kind] for kind in ERROR_KINDS},
        [sample for *_, sample in ranked[::-1][:count if half == count else len(ranked) - half]],
        [sample for *_, sample in ranked[:half]],
        ConfusionMatrix.calculate(predicted, truth, num_classes=size).numpy(),
        np.bincount(truth[(truth == predicted) & (found == 1)], minlength=size), classes)


def _ends(ranked, count):
    ranked = sorted(ranked, key=lambda judged: judged[:2])
    return ranked if len(ranked) <= 2 * count else ranked[:count] + ranked[-count:]


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
    """Build an HTML page with everything about some runs.

    Args:
        judged (Mapping[str, JudgedImages | str]): For each run, the evaluated predictions, or the
            reason why there are none.
        trusts_configs (bool): Whether the data sets that the runs' configs name may be built, for
            the pictures. Building what a config names can run any code. Defaults to False.
    """
    return TEMPLATES.get_template('page.html').render(
        title=title, version=__version__, runs=runs,
        results=_results(runs),
        training=[*_training(runs)],
        thresholds=_thresholds(runs),
        errors=_error_kinds(judged),
        classes=[_classes(name, found) for name, found in judged.items()
                 if isinstance(found, JudgedImages)],
        localizations=[*_localizations(runs, judged, style, trusts_configs)],
        pools=[*_pools(runs, style, trusts_configs)],
        settings=_settings(runs))


def _results(runs):
    results = [run.result for run in runs.values()]
    protocols = [result.protocol for result in results]
    names = dict.fromkeys(name for result in results for name in result.metrics)
    return dict(
        numbers=[[title_of(name), *(_number(name, result.metrics.get(name)) for result in results)]
                 for name in names],
        protocols=[*([key, *(protocol_text(protocol.get(key, '–')) for protocol in protocols)]
                     for key in dict.fromkeys(key for protocol in protocols for key in protocol)),
                   ['result from', *(result.source for result in results)]],
        warning=warn_of_differences(protocols))


def _number(name, value):
    if value is None:
        return '–'
    return f'{value:.3f}' if name.endswith(('threshold', 'theta')) else f'{value:.1f}'


def _training(runs):
    keys = dict.fromkeys(key for run in runs.values() for entry in run.scalars for key in entry
                         if key not in UNPLOTTED)
    for key in keys:
        x_key = 'step' if '/' in key else 'iter'  # a validation logs only its epoch
        lines = {name: scalar_lines(run.scalars, key, x_key) for name, run in runs.items()}
        if max(len(x) for x, _ in lines.values()) > 1:
            yield line_chart(lines, 'epoch' if '/' in key else 'iteration',
                             'learning rate' if key == 'lr' else title_of(key))


def scalar_lines(entries: Iterable[dict], key: str, x_key: str) -> tuple[list, list]:
    """The x and y values of a logged quantity, from the entries that have both."""
    points = [(entry[x_key], entry[key]) for entry in entries if key in entry and x_key in entry]
    return [x for x, _ in points], [y for _, y in points]


def _thresholds(runs):
    searched = {name: run for name, run in runs.items() if run.theta_curve}
    return dict(
        best=[[name, *run.theta_search] for name, run in searched.items() if run.theta_search],
        charts=[_theta_chart(name, run.theta_curve, metric) for name, run in searched.items()
                for metric in ('gt_known_loc', 'top1_loc')])


def _theta_chart(name, rows, metric):
    lines = {rule: ([], []) for rule in MAP_RULES.module_dict}  # a colour each, searched or not
    for row in rows:
        x, y = lines.setdefault(row['map_rule'], ([], []))
        x.append(row['theta'])
        y.append(row[metric])
    return line_chart(lines, 'theta', f'{title_of(metric)} in percent: {name}')


def _error_kinds(judged):
    runs = {name: found.error_kinds for name, found in judged.items()
            if isinstance(found, JudgedImages)}
    return dict(
        runs=runs,
        shares=[[kind.replace('_', ' '), *(f'{shares[kind]:.1f}' for shares in runs.values())]
                for kind in next(iter(runs.values()), ())],
        chart=share_chart(runs, 'What the predicted boxes are') if runs else None,
        reasons=[f'{name}: {found}' for name, found in judged.items() if isinstance(found, str)])


def _classes(name, found):
    """Per-class results of a run: its chart and rows, the class with the worst Top-1 Loc first."""
    confusion, rows = found.confusion, []
    totals = confusion.sum(axis=1)
    wrong = confusion - np.diag(np.diag(confusion))
    for label in np.argsort(found.hits / np.maximum(totals, 1), kind='stable'):
        if total := totals[label]:
            other = wrong[label].argmax()
            rows.append([class_name(label, found.classes), str(total),
                         f'{100 * confusion[label, label] / total:.1f}',
                         f'{100 * found.hits[label] / total:.1f}',
                         f'{class_name(other, found.classes)} ({wrong[label, other]})'
                         if wrong[label].any() else '–'])
    return dict(name=name, rows=rows, chart=confusion_chart(confusion, f'Confusions of {name}'))


def _localizations(runs, judged, style, trusts_configs) -> Iterator[Group]:
    for name, found in judged.items():
        if isinstance(found, JudgedImages):
            try:
                yield from _best_and_worst(name, runs[name].config, found, style, trusts_configs)
            except OSError as error:
                yield Group(name, [], f'{name}: no pictures, for {error}')


def _best_and_worst(name, cfg, found, style, trusts_configs):
    pictures = PictureSource(_build_dataset(cfg.test_dataloader.dataset, trusts_configs))
    for kind, samples in (('best', found.best), ('worst', found.worst)):
        yield Group(f'{name}: {kind}', [
            _embed_picture(draw_sample(pictures.at(sample.sample_idx, sample.get('box_frame')),
                                       sample, found.classes, style),
                           f'{kind} localizations of {name}', sample_name(sample))
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
        yield Group(name, [_embed_picture(sheet, f'context pool of {name}')], note)


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
    return build_dataset(cfg)
