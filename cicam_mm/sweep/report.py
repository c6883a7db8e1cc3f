"""The report on finished runs: one self-contained HTML page."""
from base64 import b64encode
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from operator import itemgetter
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
from cicam_mm.localization.overlap import best_iou
from cicam_mm.utils.errors import UserError
from cicam_mm.version import __version__
from cicam_mm.visualization.curves import COLORS
from cicam_mm.visualization.overlay import STYLES, Style
from cicam_mm.visualization.pictures import PictureSource, sample_name
from cicam_mm.visualization.pool_sheet import draw_pool
from cicam_mm.visualization.visualizer import class_name, draw_sample

from .finished_run import FinishedRun
from .statistics import title_of

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
    """An image as a ``data:`` address, and the text that describes it."""
    source: str
    alt: str
    caption: str = ''


def line_chart(lines: Mapping[str, Sequence[tuple[float, float]]], x_label: str,
               title: str) -> EmbeddedImage:
    """A line chart of points (x, y) by name.

    With the same names in every chart of a page each keeps its colour; those without points are
    left out.
    """
    figure, axes = _canvas(title)
    for i, (name, points) in enumerate(lines.items()):
        if points:
            axes.plot(*zip(*points, strict=True), label=name, color=COLORS[i % len(COLORS)],
                      linestyle=DASHES[i % len(DASHES)],  # lines that coincide stay visible
                      marker='.' if len(points) < 30 else None)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8, framealpha=0.6)
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
    # an image of its own, for its ids; without date and random ids, equal runs give equal reports
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
        best: Those with the highest IoU of the predicted box, the highest first.
        worst: Those with the lowest, the lowest first.
        confusion: Number of images by class and predicted class, (n, n).
        hits: Number of images by class whose class is right and whose IoU is at least 0.5, (n, ).
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
        iou = best_iou(sample)
        judged.append((int(sample.gt_label), int(sample.pred_label), iou >= 0.5))
        if len(sample.gt_bboxes):
            insort(ranked, (iou, place, sample), key=itemgetter(0, 1))
        if len(ranked) > 2 * count:
            del ranked[count]  # neither among the best nor among the worst
    if not ranked:
        raise UserError('There are no predictions to evaluate.')
    shares = errors.compute_metrics(errors.results)
    half = len(ranked) // 2
    truth, predicted, found = np.array(judged).T
    size = max(truth.max(), predicted.max()) + 1
    return JudgedImages(
        {kind: shares[kind] for kind in ERROR_KINDS},
        [sample for *_, sample in ranked[half:][::-1]],
        [sample for *_, sample in ranked[:half]],
        ConfusionMatrix.calculate(predicted, truth, num_classes=size).numpy(),
        np.bincount(truth[(truth == predicted) & (found == 1)], minlength=size), classes)


def build_page(runs: Mapping[str, FinishedRun],
               judged: Mapping[str, JudgedImages | str],
               style: Style = STYLES['paper'],
               title: str = 'Weakly supervised object localization',
               trusts_configs: bool = False) -> str:
    """Build an HTML page with everything about some runs.

    For each run ``judged`` has the evaluated predictions, or the reason why there are none. With
    ``trusts_configs`` the data sets that the runs' configs name are built, for the pictures;
    building what a config names can run any code.
    """
    evaluated = {name: found for name, found in judged.items() if isinstance(found, JudgedImages)}
    return TEMPLATES.get_template('page.html').render(
        title=title, version=__version__, runs=runs,
        results=_results(runs),
        training=[*_training(runs)],
        thresholds=_thresholds(runs),
        errors=_error_kinds(evaluated),
        reasons=[f'{name}: {found}' for name, found in judged.items() if isinstance(found, str)],
        classes=[_classes(name, found) for name, found in evaluated.items()],
        localizations=[*_localizations(runs, evaluated, style, trusts_configs)],
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
        lines = {name: [(entry[x_key], entry[key]) for entry in run.scalars
                        if key in entry and x_key in entry] for name, run in runs.items()}
        if max(map(len, lines.values())) > 1:
            yield line_chart(lines, 'epoch' if '/' in key else 'iteration',
                             'learning rate' if key == 'lr' else title_of(key))


def _thresholds(runs):
    return dict(
        best=[[name, *run.theta_search] for name, run in runs.items() if run.theta_search],
        figures=[_embed('image/png', figure, f'Localization of {name} against theta', name)
                 for name, run in runs.items() if (figure := run.theta_figure)])


def _error_kinds(evaluated):
    return evaluated and dict(
        runs=[*evaluated],
        shares=[[kind.replace('_', ' '), *(f'{found.error_kinds[kind]:.1f}'
                                           for found in evaluated.values())]
                for kind in ERROR_KINDS])


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


def _localizations(runs, evaluated, style, trusts_configs):
    for name, found in evaluated.items():
        try:
            dataset = _build_dataset(runs[name].config.test_dataloader.dataset, trusts_configs)
            pictures = PictureSource(dataset)
            for kind, samples in (('best', found.best), ('worst', found.worst)):
                yield dict(heading=f'{name}: {kind}', note='', images=[
                    _embed_picture(
                        draw_sample(pictures.at(sample.sample_idx, sample.get('box_frame')),
                                    sample, found.classes, style),
                        f'{kind} localizations of {name}', sample_name(sample))
                    for sample in samples])
        except OSError as error:
            yield dict(heading=name, note=f'{name}: no pictures, for {error}', images=[])


def _pools(runs, style, trusts_configs):
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
        images = [_embed_picture(sheet, f'context pool of {name}')]
        yield dict(heading=name, note=note, images=images)


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
