from .adl import ADL
from .erased_copy import ErasedCopy
from .non_local import NonLocalBlock

__all__ = ['ADL', 'ErasedCopy', 'NonLocalBlock']
