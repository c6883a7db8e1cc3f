"""Export a model to one ONNX file: ``python tools/export_onnx.py CONFIG CHECKPOINT OUT.onnx``.

``cicam_lite.OnnxLocalizer`` predicts classes and boxes with that file, without torch.
"""

import argparse

from _cli import (
    ArgumentParser,
    ConfigOptions,
    check_checkpoint,
    output_file,
    positive,
    read_config,
    run,
)

from cicam_mm.apis import WSOLInferencer, sample_images
from cicam_mm.export import export_onnx
from cicam_mm.utils.settings import merge_options


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__.split(':')[0])
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument('out', type=output_file, help='the .onnx file to write')
    parser.add_argument('--cam', action='store_true', help='the config is of any MMPretrain '
                        'classifier, whose linear layer gives class activation maps')
    parser.add_argument(
        '--images', nargs='+', default=[], metavar='PATH',
        help='files, folders and globs on which to compare the file with the model; default: the '
        'test images of the config')
    parser.add_argument('--max-images', type=positive, default=100, metavar='N',
                        help='maximum number of these images, spread evenly; default: 100')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    check_checkpoint(args.checkpoint)
    images = sample_images(args.images, cfg, args.max_images)
    inferencer = WSOLInferencer(cfg, args.checkpoint, device='cpu', cam=args.cam)
    found = export_onnx(inferencer, args.out, images)
    print(f'Written: {args.out}, {args.out.stat().st_size / 2**20:.1f} MiB.')
    if not images:
        print('It was not compared with the model; give images with --images.')
    else:
        print(f'On {found["images"]} images class scores differ by at most {found["score"]:.1e} '
              f'and {found["moved"]} boxes by up to {found["box"]} pixels.')


if __name__ == '__main__':
    run(main)
