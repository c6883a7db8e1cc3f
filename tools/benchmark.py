"""What CI-CAM costs beyond its backbone: ``python tools/benchmark.py``.

Whatever is compared takes turns in one run, since the speed of a machine drifts: read the ratios;
the absolute values are of this machine and moment.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from cicam_mm.engine.console import format_table

# isort: split
import torch
from mmengine.logging import MMLogger

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests' / 'oracle'))
from benchmarks import data, metrics, prediction, testing, training  # noqa: E402

SUBJECTS = {  # memory first: a process inherits the peak of the one that starts it
    'memory': lambda args: training.measure_memory(args.batch),
    'training': lambda args: training.measure_time(args.batch, args.rounds),
    'prediction': lambda args: prediction.measure(args.batch, args.rounds),
    'testing': lambda args: testing.measure(args.rounds),
    'metrics': lambda args: metrics.measure(args.rounds),
    'data': lambda args: data.measure(args.rounds),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--only', nargs='+', choices=SUBJECTS, default=[*SUBJECTS])
    parser.add_argument('--rounds', type=int, default=10, help='turns of each variant')
    parser.add_argument(
        '--batch', type=int, default=4, help='images of a training step and of a prediction')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the table here, too')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_instance('mmengine', log_level='WARNING')
    rows = [row for subject in SUBJECTS if subject in args.only for row in SUBJECTS[subject](args)]
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, CPU\n')
    print(format_table([['', '', 'ratio', 'value']] + [
        [row.subject, row.variant, f'{row.ratio:.2f}', f'{row.figure:.3g} {row.unit}']
        for row in rows]))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + '\n')


if __name__ == '__main__':
    main()
