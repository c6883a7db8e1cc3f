from .erased_copy import ErasedCopy
from .non_local import NonLocalBlock

__all__ = ['ErasedCopy', 'NonLocalBlock']
