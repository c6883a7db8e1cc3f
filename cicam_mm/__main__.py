"""Run a tool after importing this package: ``python -m cicam_mm TOOL [arguments]``."""

import argparse
import runpy
import sys
from pathlib import Path

from cicam_mm.checkpoints.loading import data_only
from cicam_mm.utils.stack import CONFIG_PREFIX, MIM, config_names, config_path

TOOLS = {path.stem: path for path in sorted(MIM.glob('tools/[!_]*.py'))}


def main() -> None:
    args = parse_args()
    script = TOOLS.get(args.tool, Path(args.tool))
    if not script.is_file():
        sys.exit(f'error: there is no tool {args.tool}; name one of {", ".join(TOOLS)}, or give '
                 'the path of a script')
    try:
        arguments = [str(config_path(argument)) if argument.startswith(CONFIG_PREFIX) else argument
                     for argument in args.arguments]
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))  # as Python does for a script
    with config_names, data_only:  # for MMPretrain's own tools
        runpy.run_path(str(script), run_name='__main__')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m cicam_mm',
        description="Run a tool with cicam_mm imported, so that the tool's config may have "
        "`_base_ = 'cicam_mm::...'`.",
        epilog=f'Configs and tools are in {MIM}.')
    parser.add_argument(
        'tool', metavar='TOOL',
        help=f"{', '.join(TOOLS)}, or the path of any script, such as MMPretrain's train.py")
    parser.add_argument(
        'arguments', metavar='...', nargs=argparse.REMAINDER,
        help=f'arguments of the tool; {CONFIG_PREFIX}PATH among them is a config of cicam_mm')
    return parser.parse_args()


if __name__ == '__main__':
    main()
