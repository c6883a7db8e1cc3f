"""Compare methods on images: ``cicam_mm compare CAM=CONFIG:CHECKPOINT CI-CAM=WORK_DIR --worst 4``.

Writes a figure for each requested kind of image, with the image in the first column and each
method's map and box in the others, and with ``--pool`` a sheet of each causal context pool.
"""
import argparse
import re
from pathlib import Path

from _cli import ArgumentParser, load_config, number, positive, run


def parse_method(text: str) -> tuple[str, str, str | None]:
    """The heading of a column, a config, and a checkpoint or None if it is a work directory."""
    match = re.fullmatch(r'(?:([^=/]+)=)?((?:\w+::)?[^:]+)(?::(.+))?', text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not [NAME=]CONFIG:CHECKPOINT or "
                                         '[NAME=]WORK_DIR')
    name, config, checkpoint = match.groups()
    return name or Path(config).stem, config, checkpoint


def parse_numbers(text: str) -> list[int]:
    if not re.fullmatch('[0-9]{1,9}(,[0-9]{1,9})*', text):
        raise argparse.ArgumentTypeError(f"'{text:.40}' is not a list such as 0,5,7")
    return [*map(int, text.split(','))]


parser = ArgumentParser('Compare methods on images of the test set.',
                        'compare CAM=work_dirs/cam CI-CAM=work_dirs/cicam --worst 4')
parser.add_argument('methods', nargs='+', type=parse_method,
                    metavar='[NAME=]CONFIG:CHECKPOINT',
                    help='or the work directory of a training')
parser.add_settings()
parser.add_argument('--chosen', type=parse_numbers, default=[], metavar='I,J,...',
                    help='the test images with these indices, counted from 0')
parser.add_argument('--random', type=number, default=0, metavar='N', help='N random images')
parser.add_argument('--improved', type=number, default=0, metavar='N',
                    help='the N images on which the last method improves the IoU most over '
                    'the best of the others; predicts the whole test set')
parser.add_argument('--worst', type=number, default=0, metavar='N',
                    help='the N images with the lowest IoU of the last method; predicts the '
                    'whole test set')
parser.add_argument('--pool', action='store_true', help='draw the context pools')
parser.add_argument('--classes', type=parse_numbers, default=[], metavar='C,D,...',
                    help='classes drawn with --pool, counted from 0; default: the first 12')
parser.add_argument('--seed', type=int, default=0, help='seed of --random; default: 0')
parser.add_argument('--width', type=positive, default=900,
                    help='width of a figure in pixels; default: 900')
parser.add_device_and_style()
parser.add_output('--out', is_folder=True, default='compared', metavar='DIR',
                  help='folder for the figures; default: compared')


def main(args) -> None:
    import numpy as np

    from cicam_mm.apis import TestSet, best_iou
    from cicam_mm.apis.test_set import check_same_images
    from cicam_mm.datasets.wrappers import build_dataset
    from cicam_mm.models import find_pools
    from cicam_mm.utils.errors import UserError
    from cicam_mm.visualization import STYLES, class_name, draw_comparison, draw_pool
    from cicam_mm.visualization.comparison import most_improved, random_images, worst_images
    from cicam_mm.visualization.pictures import write_picture

    if not (args.chosen or args.random or args.improved or args.worst or args.pool):
        args.random = 4
    names = [name for name, *_ in args.methods]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two methods are named '{twice[0]}'; put NAME= in front of one")
    if args.improved and len(names) < 2:
        raise UserError('--improved compares methods; name at least two')

    style, predicted, figures = STYLES[args.style], {}, {}
    for name, config, checkpoint in args.methods:
        method = argparse.Namespace(**{**vars(args), 'config': config, 'checkpoint': checkpoint})
        cfg = load_config(method)
        test_set = TestSet(cfg, method.checkpoint, args.device)
        count = len(test_set.dataset)
        if beyond := [i for i in args.chosen if i >= count]:
            raise UserError(f'there is no image {beyond[0]}; the test set of {name} has {count}')
        shown = dict(chosen=args.chosen, random=random_images(count, args.random, args.seed))
        indices = range(count) if args.improved or args.worst else sorted(
            {*args.chosen, *shown['random']})
        predicted[name] = {}
        for i, sample in zip(indices, test_set.predict(indices, name), strict=True):
            sample.pop('gt_mask', None)  # those of OpenImages would fill 1.5 GB
            predicted[name][i] = sample
        if args.pool and not (pools := find_pools(test_set.model)):
            print(f'{name} has no context pool.')
        elif args.pool:
            contexts = pools[0].pool.cpu().numpy()
            if beyond := [label for label in args.classes if label >= len(contexts)]:
                raise UserError(f'there is no class {beyond[0]}; {name} has {len(contexts)}')
            dataset = build_dataset(cfg.train_dataloader.dataset)
            figures[f'pool_{name}'] = draw_pool(
                contexts, dataset, args.classes, style, args.width)

    check_same_images(predicted)
    if args.improved or args.worst:
        ious = np.array([[*map(best_iou, of_all.values())] for of_all in predicted.values()])
        shown['worst'] = worst_images(ious[-1], args.worst)
        shown['improved'] = most_improved(ious, args.improved) if args.improved else []
    for kind, images in shown.items():
        rows = [test_set.example(
                    {name: of_all[i] for name, of_all in predicted.items()},
                    f'{i}: {class_name(int(predicted[names[0]][i].gt_label), test_set.classes)}')
                for i in images]
        if rows:
            figures[kind] = draw_comparison(rows, style, args.width)
    for name, figure in figures.items():
        write_picture(args.out / f'{name}.png', figure)
        print(f'Wrote {args.out / name}.png')


if __name__ == '__main__':
    run(main, parser)
