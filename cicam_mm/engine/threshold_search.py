"""Searching theta and the map rule on images other than the test images."""
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dist import broadcast_object_list
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from cicam_mm.evaluation.held_out import loader_of_split
from cicam_mm.evaluation.theta_sweep import SWEPT_METRICS
from cicam_mm.localization.localizer import build_localizer
from cicam_mm.localization.map_rules import MAP_RULES
from cicam_mm.utils.errors import UserError

from .runner import build_runner


@dataclass(frozen=True)
class ThresholdSearch:
    """What each map rule and theta gives.

    Rows are dicts of ``map_rule``, as a config has it, ``theta`` and each of ``SWEPT_METRICS`` in
    percent; the metric ``by`` defines the best one, and ``configured`` is that of the config's
    settings.
    """
    rows: list[dict]
    by: str
    configured: dict
    num_images: int

    @property
    def best(self) -> dict:
        """The best row; ties go to the first."""
        return max(self.rows, key=lambda row: row[self.by])


def search_threshold(cfg: Config,
                     checkpoint: str,
                     split: str = 'val',
                     by: str = 'gt_known_loc',
                     map_rules: Sequence[str] | None = None,
                     step: float = 0.02) -> ThresholdSearch:
    """Evaluate a checkpoint for every theta and several map rules, in one pass over the images.

    Every rank of a distributed job gets the results. The config is complete, with ``work_dir``; it
    is not changed.

    Args:
        split (str): Images to search on, see :func:`loader_of_split`.
        by (str): The metric to maximize, one of ``SWEPT_METRICS``.
        map_rules (Sequence[str], optional): Rules to try besides that of the config. Defaults to
            None, all rules that the number of classes allows.

    Raises:
        UserError: If the head has no localizer, the split contains test images or is missing, a
            rule does not fit the number of classes, or the step is out of range.
    """
    if not 0 < step < 1:
        raise UserError(f'the step of theta must be in (0, 1), not {step:g}')
    localizer = localizer_of(cfg)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    configured = build_localizer(localizer)
    swept = dict(
        map_rules=_rules_to_try(configured, cfg.model.head, map_rules),
        thetas=sorted({configured.theta, *np.arange(0, 1, step).round(6).tolist()}))
    cfg = deepcopy(cfg)
    cfg.test_dataloader = loader_of_split(cfg, split)
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.model.head.localizer = dict(
        type='SweepingLocalizer', localizer=localizer, **swept)
    cfg.test_evaluator = dict(type='ThetaSweep', by=by, **swept)
    cfg.get('default_hooks', {}).pop('result_table', None)  # search_threshold.py prints its own

    runner = build_runner(cfg)
    runner.test()
    curves = [runner.test_evaluator.metrics[0].curves]  # on the main process
    broadcast_object_list(curves)
    curves, = curves
    rows = [dict(map_rule=rule, theta=theta, **{key: curves[key][r][t] for key in SWEPT_METRICS})
            for r, rule in enumerate(swept['map_rules'])
            for t, theta in enumerate(swept['thetas'])]
    # the config's map rule comes first
    own = next(row for row in rows if row['theta'] == configured.theta)
    return ThresholdSearch(rows, by, own, len(runner.test_dataloader.dataset))


def localizer_of(cfg: Config) -> ConfigDict:
    """The config of the localizer whose theta is searched, or a UserError."""
    localizer = cfg.model.get('head', {}).get('localizer')
    if localizer is None:
        raise UserError('the head of this config has no localizer and therefore no theta; set '
                        'model.head.localizer')
    return localizer


def _rules_to_try(configured, head, asked):
    """The config's map rule, then others; those that do not fit the classes are skipped."""
    own = configured.map_rule
    rules = [own if isinstance(own, str) else dict(own)]
    if asked is None and getattr(MODELS.get(head.type), 'shared_map', False):
        return rules  # with one map for all classes, all rules give the same
    skipped = []
    for rule in MAP_RULES.module_dict if asked is None else asked:
        if rule in rules:
            continue
        try:
            configured.with_settings(map_rule=rule).check(head.num_classes)
        except UserError:
            if asked is not None:
                raise
            skipped.append(rule)
        else:
            rules.append(rule)
    if skipped:
        print(f'Map rules that need more than {head.num_classes} classes are skipped: '
              f'{", ".join(skipped)}')
    return rules
