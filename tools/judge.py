"""Evaluate saved predictions again, without the network: ``python tools/judge.py PREDICTIONS``.

The predictions are those of ``python tools/test.py CONFIG CHECKPOINT --dump PREDICTIONS``.
"""

import argparse
from pathlib import Path

from _cli import ArgumentParser, ConfigOptions, UserError, output_file, read_config, run
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.protocol import describe_criteria, write_metrics
from cicam_mm.evaluation.saved_predictions import read_index, read_predictions
from cicam_mm.utils.console import format_table
from cicam_mm.utils.settings import merge_options


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__.splitlines()[0])
    parser.add_argument('predictions', type=Path, help='the folder of --dump')
    parser.add_argument(
        '--metrics', nargs='+', default=['WSOLMetric'], metavar='NAME',
        help='metrics with default settings, e.g. WSOLMetric LocalizationErrors MaxBoxAcc PxAP; '
        'default: WSOLMetric')
    parser.add_argument('--config', help='use the test_evaluator of this config instead')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE',
        help='override settings of the config, e.g. test_evaluator.iou_thr=0.7')
    parser.add_argument(
        '--out', type=output_file, metavar='FILE',
        help='write the metrics and their curves as JSON')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    chosen = choose_metrics(args)
    evaluator = Evaluator([METRICS.build(metric) for metric in chosen])
    index = read_index(args.predictions)
    evaluator.dataset_meta = dict(classes=index['classes'])
    for sample in read_predictions(args.predictions):
        evaluator.process([sample])
    metrics = evaluator.evaluate(index['num_images'])
    rows = [[name, f'{value:.2f}'] for name, value in metrics.items()]
    print(f'{index["num_images"]} images\n\n{format_table([["Test", "value"], *rows])}')
    if args.out:
        write_metrics(args.out, metrics, evaluator, dict(
            index['protocol'], criteria=describe_criteria(chosen)))


def choose_metrics(args: argparse.Namespace) -> list[dict]:
    """The configs of the metrics."""
    metrics = [dict(type=name) for name in args.metrics]
    if args.config:
        cfg = read_config(args.config)
        merge_options(cfg, args.cfg_options or {})
        given = cfg.test_evaluator
        metrics = given if isinstance(given, list) else [given]
    for metric in metrics:
        if METRICS.get(metric['type']) is None:
            raise UserError(f'there is no metric {metric["type"]}; known are, among others, '
                     'WSOLMetric, LocalizationErrors, MaxBoxAcc and PxAP')
    return metrics


if __name__ == '__main__':
    run(main)
