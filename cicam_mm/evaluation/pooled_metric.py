"""The score map to evaluate, from the localization map of a model."""
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric, Evaluator

from cicam_lite.resizing import normalize_map, resize_bicubic
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import naming_the_image


class PooledMetric(BaseMetric):
    """A metric that is a function of the sum of one array per image.

    Its memory does not grow with the data set, except for a 0 per image.

    Args:
        **kwargs: Arguments of :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        curves (dict, optional): After an evaluation, on the main process: lists over all
            thresholds; the result holds only their best point.
    """

    default_prefix = ''  # the metrics have the names that are usual in the field

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.curves = None

    @abstractmethod
    def count(self, sample: dict) -> np.ndarray:
        """The contribution of one image to the sum, an array of integers."""

    @abstractmethod
    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        """The metrics and the curves, two dicts, from the sum over all images."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        # So that all ranks have equally many images, a sampler repeats some, at most one per rank,
        # at its end; evaluate() drops these from the end of the gathered results. So the last
        # image stays separate, the first entry holds the sum of all others, and those are 0.
        for sample in data_samples:
            if len(self.results) > 1:
                self.results[0] = self.results[0] + self.results[-1]
                self.results[-1] = 0
            with naming_the_image(sample):
                self.results.append(self.count(sample))

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics, self.curves = self.summarize(sum(results), len(results))
        return metrics


def curves_of(evaluator: Evaluator) -> dict:
    """The curves of an evaluator's pooled metrics.

    Returns:
        dict: Curves by prefix and class of the metric, such as ``MaxBoxAcc``.
    """
    return {'/'.join(filter(None, (metric.prefix, type(metric).__name__))): metric.curves
            for metric in evaluator.metrics if getattr(metric, 'curves', None)}


def judged_map(label_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A map resized to the size of the evaluation, then normalized to [0, 1].

    Args:
        label_map (np.ndarray): Shape (h, w).
        size (Sequence[int]): H and W.

    Returns:
        np.ndarray: Shape (H, W); zeros if the map is constant.

    Raises:
        ValueError: If a value is not finite.
    """
    check_finite(label_map)
    return normalize_map(resize_bicubic(label_map, size))


def check_finite(score_map: np.ndarray) -> None:
    """Raise a ValueError if a value is not finite."""
    if not np.isfinite(score_map).all():
        raise UserError(f'{np.sum(~np.isfinite(score_map))} of {np.size(score_map)} values of '
                        'the score map are not finite; check the training for divergence.')
