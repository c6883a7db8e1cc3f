"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse

from _cli import (
    ArgumentParser,
    add_common_arguments,
    check_checkpoint,
    load_config,
    output_file,
    output_folder,
    run,
    start_runner,
)

# isort: split
from cicam_mm.evaluation.protocol import describe_protocol, write_metrics


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Test a checkpoint')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument(
        '--out', type=output_file, metavar='FILE',
        help='write the metrics and their curves as JSON')
    parser.add_argument(
        '--dump', type=output_folder, metavar='DIR',
        help='save the predictions, for tools/judge.py')
    parser.add_argument('--show-dir', type=output_folder, metavar='DIR',
                        help='draw every prediction')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    hooks = dict(LocalizationVisualizationHook=args.show_dir, SavePredictionsHook=args.dump)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *(
        dict(type=hook, out_dir=str(folder)) for hook, folder in hooks.items() if folder)]

    runner = start_runner(cfg, args)
    metrics = runner.test()
    if args.out:
        protocol = describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset))
        write_metrics(args.out, metrics, runner.test_evaluator, protocol)


if __name__ == '__main__':
    run(main)
