"""Export a model to one ONNX file: ``cicam_mm export_onnx CONFIG CHECKPOINT OUT.onnx``.

``cicam_lite.OnnxLocalizer`` predicts classes and boxes with that file, without torch.
"""
from _cli import ArgumentParser, load_config, positive, run

parser = ArgumentParser('Export a model to one ONNX file.',
                        'export_onnx configs/cicam_tiny_shapes.py epoch_5.pth cicam.onnx')
parser.add_model()
parser.add_output('out', help='the .onnx file to write')
parser.add_argument('--images', nargs='+', default=[], metavar='PATH',
                    help='files, folders and globs on which to compare the file with the '
                    'model; default: the test images of the config')
parser.add_argument('--max-images', type=positive, default=100, metavar='N',
                    help='maximum number of these images, spread evenly; default: 100')
parser.add_argument('--opset', type=int, choices=range(17, 21), default=20,
                    help="version of ONNX's operators, lower for older runtimes; default: 20")


def main(args) -> None:
    cfg = load_config(args)
    from cicam_mm.apis import WSOLInferencer, sample_images
    from cicam_mm.export import export_onnx

    images = sample_images(args.images, cfg, args.max_images)
    print('Exporting the model, which takes a while, then comparing it on images.', flush=True)
    found = export_onnx(WSOLInferencer(cfg, args.checkpoint, device='cpu'), args.out, images,
                        args.opset)
    print(f'Written: {args.out}, {args.out.stat().st_size / 2**20:.1f} MiB.')
    if not images:
        print('It was not compared with the model; give images with --images.')
    else:
        print(f'On {found["images"]} images class scores differ by at most {found["score"]:.1e} '
              f'and {found["moved"]} boxes by up to {found["box"]} pixels.')


if __name__ == '__main__':
    run(main, parser)
