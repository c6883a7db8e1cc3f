"""Weakly supervised object localization with CI-CAM for MMPretrain.

Importing the package checks the installed stack and registers everything.
"""

from .utils import stack
from .version import __version__

stack.check_stack()  # must run before anything imports the stack
stack.hide_stack_warnings()
stack.allow_config_names()
stack.remember_formatted_configs()

from .checkpoints import loading  # noqa: E402

loading.install()

from . import (  # noqa: E402
    datasets,
    engine,
    evaluation,
    localization,
    models,
    visualization,
)

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'localization', 'models',
           'visualization']
