"""Kinds of errors, and the best and worst localizations."""
from collections.abc import Iterable
from typing import NamedTuple

from mmpretrain.structures import DataSample

from cicam_mm.errors import UserError
from cicam_mm.evaluation import LocalizationErrors
from cicam_mm.evaluation.functional.error_kinds import ERROR_KINDS
from cicam_mm.evaluation.functional.overlap import box_iou


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
