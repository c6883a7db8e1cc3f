"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import json
from pathlib import Path

from _cli import add_common_arguments, check_checkpoint, load_config, start_runner
from mmengine.dist import is_main_process


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a checkpoint')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the metrics as JSON')
    parser.add_argument('--show-dir', metavar='DIR', help='write an image of every prediction')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    if args.show_dir:
        show = dict(type='LocalizationVisualizationHook', out_dir=args.show_dir)
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), show]

    metrics = start_runner(cfg, args).test()
    if args.out and is_main_process():
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(metrics, indent=2) + '\n')


if __name__ == '__main__':
    main()
