"""Localize objects in images: ``cicam_mm infer PATHS...``.

Without a config and a checkpoint, an ImageNet classifier localizes.
"""
import argparse
import sys
from dataclasses import replace
from pathlib import Path

from _cli import ArgumentParser, load_config, number, positive, run


def share(text: str) -> float:
    """Argument type for a number in [0, 1)."""
    if not 0 <= float(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not in [0, 1)')
    return float(text)


def pictures(text: str) -> int | None:
    """Argument type for a number of pictures; None for all."""
    return {'all': None, 'none': 0}[text] if text in ('all', 'none') else number(text)


parser = ArgumentParser('Write classes and boxes of images to files for other programs.',
                        'infer photos --out boxes')
parser.add_argument('paths', nargs='+', help='images, folders, globs in quotes, lists (.txt, '
                    '.csv, optionally with labels), archives (.tar of WebDataset), URLs')
parser.add_argument('--config', help='path of a config, a name of MMPretrain\'s zoo, or a '
                    'work directory; default: an ImageNet classifier')
parser.add_argument('--checkpoint', help='path or address of the checkpoint')
parser.add_argument('--classes', type=Path, metavar='FILE',
                    help='names of the classes, one per line; default: the checkpoint\'s')
parser.add_settings()
parser.add_output('--out', is_folder=True, default='inferred', metavar='DIR',
                  help='folder for all output; default: inferred')
parser.add_argument('--resume', action='store_true',
                    help='continue an unfinished run in the folder of --out')
parser.add_argument('--batch-size', type=positive, default=8, metavar='N')
parser.add_argument('--workers', type=number, default=2, metavar='N',
                    help='processes per rank that read and prepare images; default: 2')
parser.add_device_and_style()
parser.add_argument('--pictures', type=pictures, default=100, metavar='all|N|none',
                    help='images to draw, spread evenly over all; default: 100')
parser.add_argument('--beside', action='store_true', help='show the image beside each overlay')
parser.add_argument('--score-maps', choices=('npy', 'png'),
                    help='write the score maps, for judge and other programs')
parser.add_argument('--ignore-labels', action='store_true',
                    help='predict the class even if the inputs have labels')
parser.add_argument('--top-k', type=int, choices=range(1, 6), default=1,
                    help='number of best classes whose boxes become annotations; default: 1')
parser.add_argument('--min-score', type=share, default=0., metavar='S',
                    help='minimum score of an annotation; default: 0')
parser.add_argument('--instances', action='store_true', help='an annotation for each '
                    'connected component of the map above theta, instead of one per image')
parser.add_argument('--min-area', type=share, default=0., metavar='SHARE', help='minimum area '
                    'of a component as a share of the image; implies --instances')
parser.add_argument('--masks', action='store_true',
                    help='COCO segmentations of the thresholded score map')
parser.add_argument('--refine', choices=('grabcut', ),
                    help='fit masks and boxes to the edges of the image, by OpenCV')
parser.add_argument('--formats', nargs='+', choices=('yolo', 'voc', 'labelstudio'), default=[],
                    help='further files of annotations, besides COCO and CSV')
parser.add_argument('--strict', action='store_true',
                    help='exit with code 1 if an image could not be read')
parser.add_launcher()


def main(args) -> None:
    from cicam_mm.apis import WSOLInferencer
    from cicam_mm.apis.batch import Options, localize_files
    from cicam_mm.apis.inferencer import BUNDLED
    from cicam_mm.datasets.classes import read_class_names
    from cicam_mm.utils.distributed import join_ranks
    from cicam_mm.utils.errors import UserError

    if args.checkpoint and not args.config:
        raise UserError('--checkpoint needs its --config; without both, an ImageNet classifier '
                        'localizes')
    args.config = args.config or BUNDLED
    options = Options(
        args.batch_size, args.pictures, args.top_k, args.min_score, not args.ignore_labels,
        args.score_maps, args.instances or args.min_area > 0, args.min_area, args.masks,
        args.refine, sorted({*args.formats}))
    cfg = load_config(args)
    classes = args.classes and read_class_names(args.classes)
    join_ranks(args.launcher)
    inferencer = WSOLInferencer(cfg, args.checkpoint, args.device, classes, style=args.style)
    inferencer.visualizer.style = replace(inferencer.visualizer.style, beside=args.beside)
    summary = localize_files(
        inferencer, args.paths, args.out, options, args.workers, args.resume)
    if summary is not None:  # on the first rank
        print_summary(summary, args)
        if summary['left_out'] and args.strict:
            sys.exit(1)


def print_summary(summary: dict, args: argparse.Namespace) -> None:
    from cicam_mm.utils.errors import printable

    count = summary['localized'] + summary['left_out']
    wanted = count if args.pictures is None else min(count, args.pictures)
    print(f'{summary["localized"]:,} of {count:,} images localized, {summary["drawn"]:,} of '
          f'{wanted:,} images drawn; {args.out} holds {"the pictures, " * bool(summary["drawn"])}'
          f'predictions.json and .csv, and annotations.json with {summary["boxes"]:,} boxes to '
          'train a detector on.')
    if 2 * summary['covering'] > summary['localized']:
        print(f'{summary["covering"]:,} predicted boxes cover nearly the whole image; if the '
              'objects do not, raise theta of the localizer, or search it with '
              'search_threshold.')
    for sentence in summary['sentences']:
        print(f'Left out: {printable(sentence)}')
    if summary['left_out'] > len(summary['sentences']):
        print(f'{summary["left_out"]:,} images are left out in all; left_out.json names them.')


if __name__ == '__main__':
    run(main, parser)
