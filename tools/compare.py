"""Compare methods on images: ``cicam_mm compare CAM=CONFIG:CHECKPOINT CI-CAM=WORK_DIR --worst 4``.

Writes a figure for each requested kind of image, with the image in the first column and each
method's map and box in the others, and with ``--pool`` a sheet of each causal context pool.
"""
import argparse
import re
from collections import namedtuple
from pathlib import Path

from _cli import STYLES, ArgumentParser, load_config, number, positive, run

#: ``name`` is the heading of a column; without checkpoint, ``config`` is a work directory.
Method = namedtuple('Method', 'name config checkpoint')
#: ``sample`` holds what the figures need, ``truth`` what two methods must agree in.
Prediction = namedtuple('Prediction', 'sample iou truth')


def parse_method(text: str) -> Method:
    match = re.fullmatch(r'(?:([^=/]+)=)?((?:\w+::)?[^:]+)(?::(.+))?', text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not [NAME=]CONFIG:CHECKPOINT or "
                                         '[NAME=]WORK_DIR')
    name, config, checkpoint = match.groups()
    return Method(name or Path(config).stem, config, checkpoint)


def parse_numbers(text: str) -> list[int]:
    if not re.fullmatch('[0-9]{1,9}(,[0-9]{1,9})*', text):
        raise argparse.ArgumentTypeError(f"'{text:.40}' is not a list such as 0,5,7")
    return [*map(int, text.split(','))]


def build_parser() -> ArgumentParser:
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
    parser.add_argument('--style', choices=STYLES, default='paper', help='colours')
    parser.add_device()
    parser.add_output('--out', is_folder=True, default='compared', metavar='DIR',
                      help='folder for the figures; default: compared')
    return parser


def main(args) -> None:
    from cicam_mm.apis import TestSet
    from cicam_mm.utils.errors import UserError
    from cicam_mm.visualization import STYLES, draw_comparison

    if not (args.chosen or args.random or args.improved or args.worst or args.pool):
        args.random = 4
    names = [method.name for method in args.methods]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two methods are named '{twice[0]}'; put NAME= in front of one")
    if args.improved and len(args.methods) < 2:
        raise UserError('--improved compares methods; name at least two')

    style, predictions, test_set = STYLES[args.style], {}, None
    for name, config, checkpoint in args.methods:
        method = argparse.Namespace(**{**vars(args), 'config': config, 'checkpoint': checkpoint})
        cfg = load_config(method)
        test_set = TestSet(cfg, method.checkpoint, args.device)
        predictions[name] = predict(name, test_set, args)
        if args.pool:
            write_pool(name, cfg, test_set, args, style)

    check_same_images(predictions)
    for kind, indices in choose(predictions, len(test_set.dataset), args).items():
        rows = [make_row(i, predictions, test_set) for i in indices]
        if rows:
            write(draw_comparison(rows, style, args.width), args.out / f'{kind}.png')


def predict(name, test_set, args):
    """Predictions by image index, for all images if all have to be evaluated."""
    import numpy as np

    from cicam_mm.apis import best_iou
    from cicam_mm.utils.errors import UserError
    from cicam_mm.visualization.comparison import random_images

    num_images = len(test_set.dataset)
    beyond = [i for i in args.chosen if i >= num_images]
    if beyond:
        raise UserError(f'there is no image {beyond[0]}; the test set of {name} has {num_images}')
    indices = range(num_images) if args.improved or args.worst else sorted(
        {*args.chosen, *random_images(num_images, args.random, args.seed)})
    kept = 'score_map', 'pred_box'
    return {i: Prediction(sample.new(**{key: sample.get(key) for key in kept if key in sample}),
                          best_iou(sample),
                          (int(sample.gt_label), sample.get('img_path'),
                           np.asarray(sample.get('gt_bboxes', ())).tolist(), sample.box_frame))
            for i, sample in zip(indices, test_set.predict(indices, name), strict=True)}


def check_same_images(predictions):
    from cicam_mm.utils.errors import UserError

    (first, expected), *others = predictions.items()
    for name, found in others:
        if [p.truth for p in found.values()] != [p.truth for p in expected.values()]:
            raise UserError(f'{first} and {name} have different test images or box frames; '
                            'compare configs with the same test set and frame')


def choose(predictions, num_images, args):
    """The images of each figure."""
    import numpy as np

    from cicam_mm.visualization.comparison import most_improved, random_images, worst_images

    ious = np.array([[p.iou for p in found.values()] for found in predictions.values()])
    return dict(
        chosen=args.chosen,
        random=random_images(num_images, args.random, args.seed),
        improved=most_improved(ious, args.improved) if args.improved else [],
        worst=worst_images(ious[-1], args.worst) if args.worst else [])


def make_row(index, predictions, test_set):
    from cicam_mm.visualization import class_name
    from cicam_mm.visualization.comparison import Example, localized

    results = [localized(name, found[index].sample) for name, found in predictions.items()]
    first = next(iter(predictions.values()))[index]
    label, _, truths, box_frame = first.truth
    caption = f'{index}: {class_name(label, test_set.classes)}'
    frame = first.sample.ori_shape if box_frame == 'original' else None
    picture = test_set.pictures.at(first.sample.sample_idx, box_frame)
    return Example(picture, truths, results, caption, frame)


def write_pool(name, cfg, test_set, args, style):
    from cicam_mm.datasets.wrappers import build_dataset
    from cicam_mm.models import find_pools
    from cicam_mm.utils.errors import UserError
    from cicam_mm.visualization import draw_pool

    pools = find_pools(test_set.model)
    if not pools:
        print(f'{name} has no context pool.')
        return
    contexts = pools[0].pool.cpu().numpy()
    beyond = [label for label in args.classes if label >= len(contexts)]
    if beyond:
        raise UserError(f'there is no class {beyond[0]}; {name} has {len(contexts)}')
    dataset = build_dataset(cfg.train_dataloader.dataset)
    sheet = draw_pool(contexts, dataset, args.classes, style, args.width)
    write(sheet, args.out / f'pool_{name}.png')


def write(picture, path):
    from cicam_mm.visualization.pictures import write_picture

    write_picture(path, picture)
    print(f'Wrote {path}')


if __name__ == '__main__':
    run(main, build_parser())
