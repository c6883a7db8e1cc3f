import math
from collections import Counter
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from cicam_lite.resizing import resize_bicubic
from cicam_mm.evaluation.functional.error_kinds import ERROR_KINDS, context_share, error_kind
from cicam_mm.evaluation.sample_fields import naming_the_image, read_field


@METRICS.register_module()
class LocalizationErrors(BaseMetric):
    """Kinds of errors of the Top-1 boxes, in percent of all images.

    The kinds are those of :func:`error_kind` and add up to 100; ``more`` means too much context.
    ``correct`` requires IoU > 0.5, whereas Top-1 Loc requires >= 0.5. If there are masks,
    ``context_mass`` is the mean share of the score map's positive mass that is on the context.

    Data samples need ``pred_label``, ``gt_label``, ``pred_box`` (4, ) and ``gt_bboxes`` (k, 4) in
    the same frame, and for ``context_mass`` also ``score_map`` (h, w) and ``gt_mask``.

    Args:
        **kwargs: Arguments of :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'localization_errors'

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            with naming_the_image(sample):
                self.results.append(self._judge(sample))

    def _judge(self, sample: dict) -> tuple[str, float | None]:
        class_is_right = bool((read_field(sample, 'pred_label') ==
                               read_field(sample, 'gt_label')).all())
        kind = error_kind(class_is_right, read_field(sample, 'pred_box'),
                          read_field(sample, 'gt_bboxes'))
        if sample.get('gt_mask') is None:
            return kind, None
        mask = read_field(sample, 'gt_mask')
        score_map = resize_bicubic(read_field(sample, 'score_map'), mask.shape)
        return kind, context_share(score_map, mask)

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        counts = Counter(kind for kind, _ in results)
        metrics = {kind: 100. * counts[kind] / len(results) for kind in ERROR_KINDS}
        shares = [share for _, share in results if share is not None]
        if shares:
            metrics['context_mass'] = 100 * math.fsum(shares) / len(shares)
        return metrics
