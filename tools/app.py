"""Models in a browser: ``cicam_mm app CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]``."""
import argparse
import signal
import sys
from pathlib import Path

from _cli import ArgumentParser, load_config, positive, run

parser = ArgumentParser('Look at models in a browser: drop an image, move the settings.',
                        'app work_dirs/quickstart/cicam work_dirs/quickstart/cam')
parser.add_argument('models', nargs='*', metavar='MODEL',
                    help='models to set side by side: CONFIG CHECKPOINT, or a work directory; '
                    'default: an ImageNet classifier')
parser.add_argument('--examples', nargs='+', default=[], metavar='PATH', help='files, folders '
                    'and globs of images to click on; default: test images of the first '
                    'config, where they are here; for the default model, four photos')
parser.add_argument('--host', default='127.0.0.1', metavar='ADDRESS', help='the address that '
                    'listens; default: 127.0.0.1, this machine alone; 0.0.0.0 lets anyone in')
parser.add_argument('--port', type=positive, default=7860, metavar='N', help='default: 7860')
parser.add_device_and_style()
parser.add_settings()


def main(args) -> None:
    import cicam_mm
    from cicam_mm.apis import WSOLInferencer, sample_images
    from cicam_mm.apis.inferencer import BUNDLED
    from cicam_mm.app.page import Server, build_page
    from cicam_mm.visualization import STYLES

    files, models, first = pair(args.models) or [(BUNDLED, None)], {}, None
    for name, (config, checkpoint) in zip(names_of(files), files, strict=True):
        own = argparse.Namespace(**{**vars(args), 'config': config, 'checkpoint': checkpoint})
        cfg = load_config(own)
        first = first or cfg
        models[name] = WSOLInferencer(cfg, own.checkpoint, args.device)
    photos = [] if args.models else [str(Path(cicam_mm.__file__).parent / '.mim' / 'photos')]
    examples = sample_images(args.examples or photos, first, 8)
    server = Server(build_page(models, examples, STYLES[args.style]), args.host, args.port)
    print(f'Open {server.address} in a browser; Ctrl+C ends it.', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that stored files are deleted
    server.run()


def pair(models: list[str]) -> list[tuple[str, str | None]]:
    """Configs and checkpoints; a work directory stands for both."""
    rest = iter(models)
    return [(config, None if Path(config).is_dir() else next(rest, None)) for config in rest]


def names_of(files: list[tuple[str, str | None]]) -> list[str]:
    """Names of configs, with that of the checkpoint's folder and file where there are several."""
    stems = [Path(config).stem for config, _ in files]
    return [stem if stems.count(stem) == 1 else
            f'{stem}, {"/".join(Path(checkpoint or config).parts[-2:])}'
            for stem, (config, checkpoint) in zip(stems, files, strict=True)]


if __name__ == '__main__':
    run(main, parser)
