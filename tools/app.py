"""Models in a browser: ``python tools/app.py CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]``."""

import argparse
import signal
import sys
from collections import Counter
from pathlib import Path

from _cli import ArgumentParser, check_checkpoint, device, positive, read_config, run

from cicam_mm.apis import WSOLInferencer, sample_images
from cicam_mm.visualization import STYLES

EXAMPLES = 8


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Look at models in a browser: drop an image, move the settings')
    parser.add_argument('models', nargs='+', metavar='CONFIG CHECKPOINT',
                        help='the models to set side by side')
    parser.add_argument(
        '--examples', nargs='+', default=[], metavar='PATH',
        help='files, folders and globs of images to click on; default: test images of the first '
        'config, where they are here')
    parser.add_argument('--host', default='127.0.0.1', metavar='ADDRESS',
                        help='the address that listens; 0.0.0.0 lets anyone in the network in; '
                        'default: 127.0.0.1, this machine alone')
    parser.add_argument('--port', type=positive, default=7860, metavar='N', help='default: 7860')
    parser.add_argument('--device', type=device, help='default: a GPU if there is one')
    parser.add_argument('--style', choices=STYLES, default='paper', help='colours')
    args = parser.parse_args()
    if len(args.models) % 2:
        parser.error(f'every config needs a checkpoint, but {args.models[-1]} has none')
    return args


def main() -> None:
    args = parse_args()
    from cicam_mm.app.page import Server, build_page  # needs an extra

    files = list(zip(args.models[::2], args.models[1::2], strict=True))
    configs = [read_config(config) for config, _ in files]
    for _, checkpoint in files:
        check_checkpoint(checkpoint)
    models = {name: WSOLInferencer(cfg, checkpoint, args.device)
              for name, cfg, (_, checkpoint) in zip(names_of(files), configs, files, strict=True)}
    examples = sample_images(args.examples, configs[0], EXAMPLES)
    server = Server(build_page(models, examples, STYLES[args.style]), args.host, args.port)
    print(f'Open {server.address} in a browser; Ctrl+C ends it.', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that what is stored goes, too
    server.run()


def names_of(files: list[tuple[str, str]]) -> list[str]:
    """Names of configs, with that of the checkpoint's folder and file where there are several."""
    stems = [Path(config).stem for config, _ in files]
    number = Counter(stems)
    return [stem if number[stem] == 1 else f'{stem}, {"/".join(Path(checkpoint).parts[-2:])}'
            for stem, (_, checkpoint) in zip(stems, files, strict=True)]


if __name__ == '__main__':
    run(main)
