from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric, Evaluator

from cicam_mm.evaluation.sample_fields import naming_the_image


class PooledMetric(BaseMetric):
    """A metric computed from the sum of one array per image, and nothing else.

    Its memory does not grow with the data set (but for a 0 per image).

    Args:
        **kwargs: Arguments of :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        curves (dict, optional): After an evaluation, on the main process: lists over all
            thresholds, which the result only holds the best point of.
    """

    default_prefix = ''  # the names of these metrics are the field's as they stand

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.curves = None

    @abstractmethod
    def count(self, sample: dict) -> np.ndarray:
        """What one image adds to the sum, an array of integers."""

    @abstractmethod
    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        """The metrics and the curves, two dicts, from the sum over all images."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        # To give all ranks equally many images a sampler repeats some, at most one on each rank
        # and that its last; evaluate() drops them from the end of the gathered results. So the
        # last image stays apart, the first holds the sum of all others, and they hold 0.
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
        dict: Curves by the metric's prefix and class, such as ``MaxBoxAcc``.
    """
    return {'/'.join(filter(None, (metric.prefix, type(metric).__name__))): metric.curves
            for metric in evaluator.metrics if getattr(metric, 'curves', None)}
