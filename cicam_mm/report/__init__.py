from .finished_run import FinishedRun
from .page import build_page

__all__ = ['FinishedRun', 'build_page']
