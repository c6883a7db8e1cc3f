"""Weakly supervised object localization with CI-CAM for MMPretrain.

Importing the package checks the installed stack and registers everything; it replaces nothing in
other packages.
"""

from .utils import stack
from .version import __version__

stack.check_stack()  # must run before anything imports the stack
stack.hide_stack_warnings()

from .checkpoints.loading import allow_checkpoint_globals  # noqa: E402

allow_checkpoint_globals()

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
