"""Run a tool after importing this package: ``python -m cicam_mm TOOL [arguments]``.

Then a config of the tool, such as MMPretrain's ``train.py``, may have ``_base_ =
'cicam_mm::...'``, and an argument may be such a name.
"""
import sys

from cicam_mm.checkpoints.loading import data_only
from cicam_mm.utils.stack import CONFIG_PREFIX, config_names, config_path
from cicam_mm_command import main

if __name__ == '__main__':
    try:
        sys.argv[1:] = [str(config_path(argument)) if argument.startswith(CONFIG_PREFIX)
                        else argument for argument in sys.argv[1:]]
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    with config_names, data_only:  # for MMPretrain's own tools
        main()
