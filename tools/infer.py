"""Localize in any images: ``python tools/infer.py PATHS... --config CONFIG --checkpoint FILE``."""

import argparse
import sys
from pathlib import Path

from _cli import check_checkpoint, read_config, run

from cicam_mm.apis import WSOLInferencer, find_images, write_predictions

# isort: split
import numpy as np
from mmpretrain.utils import track

from cicam_mm.visualization import STYLES


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Classes, score maps and boxes of images as pictures, JSON and CSV')
    parser.add_argument('paths', nargs='+', help='images, folders, or globs in quotes')
    parser.add_argument('--config', required=True, help='path of the config')
    parser.add_argument('--checkpoint', required=True, help='path or address of the checkpoint')
    parser.add_argument('--out', type=Path, default=Path('inferred'), metavar='DIR',
                        help='folder for pictures, predictions.json and predictions.csv; '
                        'default: inferred')
    parser.add_argument('--batch-size', type=int, default=8, metavar='N')
    parser.add_argument('--device', help='default: a GPU if there is one')
    parser.add_argument('--style', choices=STYLES, default='paper', help='colours')
    parser.add_argument('--strict', action='store_true',
                        help='leave with exit code 1 if an image could not be read')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config)
    check_checkpoint(args.checkpoint)
    sys.stdout.reconfigure(errors='backslashreplace')  # names that are no valid text
    try:
        inferencer = WSOLInferencer(cfg, args.checkpoint, args.device, style=args.style)
    except ValueError as error:
        sys.exit(f'error: {error}')

    files, results, unreadable = find_images(args.paths), [], []
    progress = track(files, 'Images', len(files))
    for image, sample in inferencer.stream(progress, args.batch_size, unreadable):
        inferencer.visualize(image, sample, args.out)
        result = inferencer.postprocess(sample)
        results.append({key: value for key, value in result.items()
                        if not isinstance(value, np.ndarray)})  # maps of a large folder are many
    write_predictions(args.out, results)

    print(f'{len(results)} of {len(files)} images drawn into {args.out}, with predictions.json '
          'and predictions.csv.')
    for error in unreadable:
        print(f'Left out: {error}')
    if unreadable and args.strict:
        sys.exit(1)


if __name__ == '__main__':
    run(main)
