"""Checkpoints of the 2021 release of CI-CAM, read safely and in this project's form."""

from .conversion import convert_release
from .files import read_release_net, read_release_pool
from .pools import read_pools

__all__ = ['convert_release', 'read_pools', 'read_release_net', 'read_release_pool']
