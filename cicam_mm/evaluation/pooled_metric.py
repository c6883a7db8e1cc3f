"""Metrics whose state is one sum over all images."""
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from mmengine.evaluator import BaseMetric, Evaluator

from cicam_lite.resizing import normalize_map, resize_bicubic
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import naming_the_image, read_field

from .truths import check_boxless, label_and_boxless_name


@dataclass(frozen=True)
class Contribution:
    """What some images contribute to a metric: the sum of their arrays, and their number.

    By label and whether an image has no box, ``classes`` holds what :func:`check_boxless` needs of
    one such image.
    """
    total: np.ndarray | int = 0
    number: int = 0
    classes: Mapping[tuple[int | None, bool], str | None] = field(default_factory=dict)

    def __add__(self, other: 'Contribution') -> 'Contribution':
        return Contribution(self.total + other.total, self.number + other.number,
                            {**other.classes, **self.classes})


NOTHING = Contribution()


class PooledMetric(BaseMetric):
    """A metric that is a function of the sum of one array per image.

    Its memory does not grow with the data set, except for an empty contribution per image.

    Attributes:
        curves (dict, optional): After an evaluation, on the main process: lists over all
            thresholds; the result holds only their best point.
    """

    default_prefix = ''  # these metrics go by the names that the field uses

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.curves = None

    @abstractmethod
    def count(self, sample: dict) -> np.ndarray | None:
        """The array of integers of one image; None if it has no box to be judged by."""

    @abstractmethod
    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        """The metrics and the curves, from the sum over all images that have an array."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        # A sampler pads the ranks with repeated images, at most one per rank, which evaluate()
        # drops from the end of the gathered results. So the last image stays separate; the first
        # entry holds the sum of all others, and those are empty.
        for sample in data_samples:
            if len(self.results) > 1:
                self.results[0] += self.results[-1]
                self.results[-1] = NOTHING
            with naming_the_image(sample):
                counts = self.count(sample)
                is_boxless = counts is None
                label, name = label_and_boxless_name(sample, is_boxless)
                self.results.append(Contribution(
                    0 if is_boxless else counts, int(not is_boxless), {(label, is_boxless): name}))

    def compute_metrics(self, results: list[Contribution]) -> dict[str, float]:
        pooled = sum(results, NOTHING)
        check_boxless((label, name) for (label, _), name in pooled.classes.items())
        metrics, self.curves = self.summarize(pooled.total, pooled.number)
        return metrics


def map_of(sample: Mapping, size: Sequence[int]) -> np.ndarray:
    """The score map to judge: the sample's ``judged_map`` as it is, else its ``label_map``."""
    if 'judged_map' in sample:
        return read_field(sample, 'judged_map')
    return judged_map(read_field(sample, 'label_map'), size)


def judged_map(label_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize a map (h, w) to the (H, W) of the evaluation, then normalize it to [0, 1].

    A constant map becomes zeros; one that is not finite is a UserError.
    """
    check_finite(label_map)
    return normalize_map(resize_bicubic(label_map, size))


def check_finite(score_map: np.ndarray) -> None:
    """Refuse a map with values that are not finite."""
    if not np.isfinite(score_map).all():
        raise UserError(f'{np.sum(~np.isfinite(score_map))} of {np.size(score_map)} values of '
                        'the score map are not finite; check the training for divergence.')


def curves_of(evaluator: Evaluator) -> dict:
    """The curves of an evaluator's pooled metrics, by their prefix and class."""
    return {'/'.join(filter(None, (metric.prefix, type(metric).__name__))): metric.curves
            for metric in evaluator.metrics if getattr(metric, 'curves', None)}
