"""Evaluate saved predictions, or score maps of any program, without the network.

``cicam_mm judge PREDICTIONS`` judges what ``cicam_mm test CONFIG CHECKPOINT --dump PREDICTIONS``
has saved, ``cicam_mm judge --maps FOLDER --config CONFIG`` a folder of maps.
"""
from pathlib import Path

from _cli import ArgumentParser, load_config, run

parser = ArgumentParser(__doc__.splitlines()[0], 'judge predictions --metrics MaxBoxAcc PxAP')
parser.add_argument('predictions', type=Path, nargs='?', help='the folder of --dump')
parser.add_argument('--maps', type=Path, metavar='FOLDER',
                    help='judge score maps instead: .npy, .npz or .png files named like the '
                    'images of the data set of --config; those of its val split choose theta')
parser.add_argument('--metrics', nargs='+', default=['WSOLMetric'], metavar='NAME',
                    help='metrics with default settings, such as LocalizationErrors MaxBoxAcc '
                    'PxAP; default: WSOLMetric')
parser.add_argument('--config', help='use the test_evaluator of this config instead; with '
                    '--maps, the config with the data set')
parser.add_cfg_options()
parser.add_output('--out', metavar='FILE', help='write the metrics and their curves as JSON')


def main(args) -> None:
    from cicam_mm.utils.errors import UserError

    if (args.predictions is None) == (args.maps is None):
        raise UserError('give either the folder of --dump or --maps FOLDER')
    if args.maps and not args.config:
        raise UserError('--maps needs --config CONFIG, whose data set has the ground truth')
    (judge_maps if args.maps else judge_predictions)(args)


def judge_predictions(args) -> None:
    from mmengine.evaluator import Evaluator
    from mmpretrain.registry import METRICS

    from cicam_mm.evaluation.protocol import describe_criteria, write_metrics
    from cicam_mm.evaluation.saved_predictions import read_index, read_predictions
    from cicam_mm.utils.settings import check_takers

    metrics = load_config(args).test_evaluator if args.config else [
        dict(type=name) for name in args.metrics]
    check_takers(dict(test_evaluator=metrics))
    chosen = metrics if isinstance(metrics, list) else [metrics]
    evaluator = Evaluator([METRICS.build(metric) for metric in chosen])
    index = read_index(args.predictions)
    evaluator.dataset_meta = dict(classes=index['classes'])
    for sample in read_predictions(args.predictions):
        evaluator.process([sample])
    metrics = evaluator.evaluate(index['num_images'])
    print_metrics(metrics, index['num_images'])
    if args.out:
        write_metrics(args.out, metrics, evaluator, dict(
            index['protocol'], criteria=describe_criteria(chosen)))


def judge_maps(args) -> None:
    from cicam_mm.evaluation.protocol import write_metrics
    from cicam_mm.evaluation.score_maps import judge_score_maps

    found = judge_score_maps(load_config(args), args.maps)
    print_metrics(found.metrics, found.num_images)
    mask_iou = ' and mask_iou' * ('mask_iou' in found.metrics)
    print(f'\nTheta of gt_known_loc{mask_iou}: {found.theta:g}, the best of {found.num_held_out} '
          'held-out images.' if found.num_held_out else '\nThere are no maps of held-out images; '
          f'theta of max_box_acc{mask_iou}: the best of the test images themselves.')
    if args.out:
        write_metrics(args.out, found.metrics, found.evaluator, found.protocol)


def print_metrics(metrics, num_images) -> None:
    from cicam_mm.utils.console import metric_table

    print(f'{num_images} images\n\n{metric_table("Test", metrics)}')


if __name__ == '__main__':
    run(main, parser)
