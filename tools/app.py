"""Models in a browser: ``python tools/app.py CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]``."""

import argparse
from collections import Counter
from pathlib import Path

from _cli import ArgumentParser, UserError, check_checkpoint, device, positive, read_config, run

from cicam_mm.apis import WSOLInferencer, sample_images
from cicam_mm.visualization import STYLES

EXAMPLES = 8
MAX_UPLOAD = '100mb'


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
    from cicam_mm.app.page import build_page

    files = list(zip(args.models[::2], args.models[1::2], strict=True))
    configs = [read_config(config) for config, _ in files]
    for _, checkpoint in files:
        check_checkpoint(checkpoint)
    models = {name: WSOLInferencer(cfg, checkpoint, args.device)
              for name, cfg, (_, checkpoint) in zip(names_of(files), configs, files, strict=True)}
    examples = sample_images(args.examples, configs[0], EXAMPLES)
    page = build_page(models, examples, STYLES[args.style])
    try:
        _, address, _ = page.launch(
            server_name=args.host, server_port=args.port, max_file_size=MAX_UPLOAD, share=False,
            ssr_mode=False, run_history=False, footer_links=[], quiet=True,
            prevent_thread_lock=True)
    except OSError as error:
        raise UserError(f'nothing can listen at {args.host}, port {args.port}: it is in use, or '
                        'no address of this machine; take another --port or --host.') from error
    print(f'Open {address} in a browser; Ctrl+C ends it.', flush=True)
    page.block_thread()


def names_of(files: list[tuple[str, str]]) -> list[str]:
    """Names of configs, with that of the checkpoint's folder and file where there are several."""
    stems = [Path(config).stem for config, _ in files]
    number = Counter(stems)
    return [stem if number[stem] == 1 else f'{stem}, {"/".join(Path(checkpoint).parts[-2:])}'
            for stem, (_, checkpoint) in zip(stems, files, strict=True)]


if __name__ == '__main__':
    run(main)
