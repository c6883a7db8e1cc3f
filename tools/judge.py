"""Evaluate saved predictions, or score maps of any program, without the network.

``python tools/judge.py PREDICTIONS`` judges what ``python tools/test.py CONFIG CHECKPOINT --dump
PREDICTIONS`` has saved, ``python tools/judge.py --maps FOLDER --config CONFIG`` a folder of maps.
"""

import argparse
from pathlib import Path

from _cli import ArgumentParser, ConfigOptions, UserError, output_file, read_config, run
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.protocol import describe_criteria, write_metrics
from cicam_mm.evaluation.saved_predictions import read_index, read_predictions
from cicam_mm.evaluation.score_maps import judge_score_maps
from cicam_mm.utils.console import format_table


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__.splitlines()[0])
    parser.add_argument('predictions', type=Path, nargs='?', help='the folder of --dump')
    parser.add_argument(
        '--maps', type=Path, metavar='FOLDER', help='judge the score maps in this folder instead: '
        '.npy, .npz or .png files named like the images of the data set of --config; if those of '
        'its val split are there, too, theta is also chosen on them')
    parser.add_argument(
        '--metrics', nargs='+', default=['WSOLMetric'], metavar='NAME',
        help='metrics with default settings, e.g. WSOLMetric LocalizationErrors MaxBoxAcc PxAP; '
        'default: WSOLMetric')
    parser.add_argument('--config', help='use the test_evaluator of this config instead; with '
                        '--maps, the config with the data set')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE',
        help='override settings of the config, e.g. test_evaluator.iou_thr=0.7')
    parser.add_argument(
        '--out', type=output_file, metavar='FILE',
        help='write the metrics and their curves as JSON')
    args = parser.parse_args()
    if (args.predictions is None) == (args.maps is None):
        parser.error('give either the folder of --dump or --maps FOLDER')
    if args.maps and not args.config:
        parser.error('--maps needs --config CONFIG, whose data set has the ground truth')
    return args


def main() -> None:
    args = parse_args()
    if args.maps:
        judge_maps(args)
    else:
        judge_predictions(args)


def judge_predictions(args: argparse.Namespace) -> None:
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


def judge_maps(args: argparse.Namespace) -> None:
    cfg = read_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    found = judge_score_maps(cfg, args.maps)
    rows = [[name, f'{value:.2f}'] for name, value in found.metrics.items()]
    print(f'{found.num_images} images\n\n{format_table([["Test", "value"], *rows])}\n')
    print(f'gt_known_loc is at theta {found.theta:g}, the best of {found.num_held_out} held-out '
          'images.' if found.num_held_out else 'There are no maps of held-out images to choose '
          'theta on: max_box_acc is at the best theta of the test images themselves.')
    if args.out:
        write_metrics(args.out, found.metrics, found.evaluator, found.protocol)


def choose_metrics(args: argparse.Namespace) -> list[dict]:
    """The configs of the metrics."""
    metrics = [dict(type=name) for name in args.metrics]
    if args.config:
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        given = cfg.test_evaluator
        metrics = given if isinstance(given, list) else [given]
    for metric in metrics:
        if METRICS.get(metric['type']) is None:
            raise UserError(f'there is no metric {metric["type"]}; known are, among others, '
                     'WSOLMetric, LocalizationErrors, MaxBoxAcc and PxAP')
    return metrics


if __name__ == '__main__':
    run(main)
