from .localize import Options, localize_files
from .ranks import join_ranks

__all__ = ['Options', 'join_ranks', 'localize_files']
