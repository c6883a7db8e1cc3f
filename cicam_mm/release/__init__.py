"""Reading checkpoints of CI-CAM's 2021 release safely, and converting them."""

from .conversion import convert_release
from .files import read_release_net, read_release_pool
from .pools import read_pools

__all__ = ['convert_release', 'read_pools', 'read_release_net', 'read_release_pool']
