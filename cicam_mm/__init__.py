"""Weakly supervised object localization with CI-CAM for MMPretrain.

Importing the package checks the installed stack and registers everything.
"""

from . import compat
from .version import __version__

compat.check_stack()  # before anything imports the stack
compat.hide_stack_warnings()
compat.allow_checkpoint_globals()
compat.guard_checkpoint_loading()

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
