"""Measure what CI-CAM costs beyond its backbone: ``python tools/benchmark.py``.

Compared variants take turns in one run, because the speed of a machine drifts. So rely on the
ratios; the absolute values are those of this machine at this moment.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from cicam_mm.engine.console import format_table
from cicam_mm.files import write_atomically
from cicam_mm.finite_json import to_json

# isort: split
import torch
from benchmarks import (
    data,
    exported,
    inference,
    long_run,
    machine,
    methods,
    metrics,
    prediction,
    ranks,
    records,
    testing,
    training,
)
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

SUBJECTS = {  # memory first: a process inherits the peak of the one that starts it
    'memory': lambda args: training.measure_memory(args.batch, args.device),
    'training': lambda args: training.measure_time(args.batch, args.rounds, args.device),
    'cache': lambda args: training.measure_cache(args.batch, args.rounds),
    'methods': lambda args: methods.measure(args.batch, args.rounds, args.device),
    'prediction': lambda args: prediction.measure(args.batch, args.rounds, args.device),
    'inference': lambda args: inference.measure(args.batch, args.rounds),
    'ranks': lambda args: ranks.measure(args.batch, args.rounds),
    'onnx': lambda args: exported.measure(args.batch, args.rounds),
    'long_run': lambda args: long_run.measure(args.images),
    'waits': lambda args: training.count_waits(args.batch),
    'testing': lambda args: testing.measure(args.rounds),
    'metrics': lambda args: metrics.measure(args.rounds),
    'data': lambda args: data.measure(args.batch, args.rounds),
}
OF_DEVICE = {'cuda': ['memory', 'training', 'methods', 'prediction', 'waits'],
             'cpu': [subject for subject in SUBJECTS if subject != 'waits']}
ON_REQUEST = ['long_run']  # takes many minutes


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--device', choices=OF_DEVICE, default='cpu')
    parser.add_argument('--only', nargs='+', choices=SUBJECTS,
                        help=f'default: all that the device has, but for {", ".join(ON_REQUEST)}')
    parser.add_argument('--rounds', type=int, default=10, help='turns of each variant')
    parser.add_argument(
        '--batch', type=int, default=4, help='images of a training step and of a prediction')
    parser.add_argument('--images', type=int, default=100_000, help='of long_run')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the table here, too')
    parser.add_argument('--keep', metavar='NAME', help='keep as docs/benchmarks/NAME.json')
    args = parser.parse_args()
    args.only = args.only or [each for each in OF_DEVICE[args.device] if each not in ON_REQUEST]
    unknown = set(args.only) - set(OF_DEVICE[args.device])
    if unknown:
        parser.error(f'nothing to measure on {args.device} for {", ".join(sorted(unknown))}')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda needs a GPU, and torch finds none here')
    return args


def main() -> None:
    args = parse_args()
    MMLogger.get_instance('mmengine', log_level='WARNING')
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    init_default_scope('mmpretrain')
    described, rows = machine.describe(args.device), []
    print(format_table([['', ''], *described.items()]))
    for subject in [subject for subject in SUBJECTS if subject in args.only]:
        measured = SUBJECTS[subject](args)
        print()
        print(format_table([['', '', 'ratio', 'value']] + [
            [row.subject, row.variant, f'{row.ratio:.2f}',
             f'{records.spell(row.figure)} {row.unit}'] for row in measured]), flush=True)
        rows += measured
        if args.json:
            write_atomically(
                args.json, to_json([asdict(row) for row in rows], indent=2) + '\n')
        if args.keep:
            print(f'kept in {records.keep(args.keep, described, measured)}', file=sys.stderr)


if __name__ == '__main__':
    main()
