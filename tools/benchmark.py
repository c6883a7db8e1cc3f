"""Measure what CI-CAM costs beyond its backbone: ``python tools/benchmark.py``, in a clone.

Compared variants take turns in one process; each is given as a ratio to the first one of its
subject, with the 95 % interval over the pairs. Rows are printed as they come.
"""
import os
import sys
from pathlib import Path

from _cli import ArgumentParser, run

sys.path.insert(0, str(Path(__file__).parents[1]))
SUBJECTS = ('memory', 'training', 'cache', 'methods', 'prediction', 'maps', 'inference', 'metrics')

parser = ArgumentParser('Measure what CI-CAM costs beyond its backbone.',
                        'benchmark --only training --pairs 20')
parser.add_argument('--only', nargs='+', choices=SUBJECTS, default=SUBJECTS, metavar='SUBJECT',
                    help=f'some of {", ".join(SUBJECTS)}; default: all')
parser.add_argument('--pairs', type=int, default=20, metavar='N', help='at least 2; default: 20')
parser.add_argument('--batch', type=int, default=4, help='images per step; default: 4')
parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu', help='default: cpu')
parser.add_output('--json', metavar='FILE', help='also write the rows as JSON')


def main(args) -> None:
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from benchmarks.subjects import SUBJECTS as measures
    from cicam_mm.utils.console import environment_line
    from cicam_mm.utils.io import to_json, write_atomically

    MMLogger.get_instance('mmengine', log_level='WARNING')
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    init_default_scope('mmpretrain')
    print(f'{environment_line(1)}, {torch.backends.cpu.get_cpu_capability()}, '
          f'{os.cpu_count()} cores, {torch.get_num_threads()} threads')
    rows, heading = [], None
    for subject in args.only:
        for row in measures[subject](args.pairs, args.batch, args.device):
            if row.subject != heading:
                heading = row.subject
                print(f'\n{heading} ({row.pairs} pairs)')
            print(row, flush=True)
            rows.append(row._asdict())
            if args.json:
                write_atomically(args.json, to_json(rows, indent=2) + '\n')


if __name__ == '__main__':
    run(main, parser)
