"""Evaluating score maps at all thresholds, compared with contour searches."""

from unittest.mock import patch

import numpy as np
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation import max_box_acc as box_accuracy
from cicam_mm.evaluation.max_box_acc import score_thresholds

from .threshold_boxes import (
    contour_search,
    distinct_cuts,
    random_map,
    search_at_cuts,
    together,
)
from .timing import Row, alternate, compare

MAPS, SIDE = 5, 224


class SearchedBoxes:
    """Replaces :class:`ThresholdBoxes` by a contour search at each threshold."""

    def __init__(self, score_map: np.ndarray, thresholds: np.ndarray):
        self.score_map, self.thresholds = score_map, thresholds
        self._owners = self.cut_of = np.arange(len(thresholds))

    def _boxes(self, every):
        found = contour_search(self.score_map, self.thresholds, every)
        owners = np.repeat(self._owners, [len(boxes) for boxes in found])
        return np.concatenate(found), owners

    def largest_contour(self):
        return self._boxes(False)

    def all_contours(self):
        return self._boxes(True)


class BoxesSearchedAtCuts(SearchedBoxes):
    """Replaces :class:`ThresholdBoxes` by a contour search at each different 8-bit cut."""

    def __init__(self, score_map: np.ndarray, thresholds: np.ndarray):
        different, cut_of = distinct_cuts(score_map, thresholds)
        super().__init__(score_map, different)
        self.cut_of = cut_of


def measure(rounds: int) -> list[Row]:
    rng, thresholds, rows = np.random.default_rng(0), score_thresholds(0.001), []
    maps = [random_map(rng, SIDE) for _ in range(MAPS)]
    for name, every in (('largest contour', False), ('all contours', True)):
        def judge(method, every=every):
            for score_map in maps:
                method(score_map, thresholds, every)

        seconds = alternate({'a search at each': lambda j=judge: j(contour_search),
                             'a search at each cut': lambda j=judge: j(search_at_cuts),
                             'all at once': lambda j=judge: j(together)}, rounds)
        rows += compare(f'boxes at 1,000 thresholds, {name}', seconds, per=MAPS)
    return rows + measure_whole_metrics(rounds)


def measure_whole_metrics(rounds: int) -> list[Row]:
    """The metrics themselves, from sample to sum."""
    rng = np.random.default_rng(0)
    box = torch.tensor([40., 50., 170., 180.])
    samples = [dict(
        gt_label=torch.tensor([1]), gt_bboxes=box[None].numpy(), gt_mask=np.ones((SIDE, SIDE)),
        top_labels=torch.arange(5), pred_boxes=box.expand(5, 4), pred_box=box, label_box=box,
        pred_label=torch.tensor([0]), img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE),
        label_map=torch.from_numpy(random_map(rng, 14)),
        score_map=torch.from_numpy(random_map(rng, 14))) for _ in range(MAPS)]
    metrics = {name: METRICS.build(dict(type=name)) for name in (
        'WSOLMetric', 'LocalizationErrors', 'MaxBoxAcc', 'PxAP')}
    actions = {name: lambda m=m: m.process(None, samples) for name, m in metrics.items()}

    def with_boxes_of(kind):
        with patch.object(box_accuracy, 'ThresholdBoxes', kind):
            actions['MaxBoxAcc']()

    seconds = alternate(actions | {
        'MaxBoxAcc, a search at each threshold': lambda: with_boxes_of(SearchedBoxes),
        'MaxBoxAcc, a search at each cut': lambda: with_boxes_of(BoxesSearchedAtCuts)}, rounds)
    return compare('metrics', seconds, per=MAPS)
