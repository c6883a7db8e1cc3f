"""Weakly supervised object localization with CI-CAM for MMPretrain.

Importing the package checks the installed stack and registers everything.
"""

from . import compat, guards
from .version import __version__

compat.check_stack()  # must run before anything imports the stack
compat.hide_stack_warnings()
compat.allow_config_names()
compat.remember_formatted_configs()
guards.install()

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
