from cicam_mm.utils.io import AtomicBackend

from .check_hooks import BoxFrameHook, CheckpointFitHook, ClassNamesHook
from .context_pool_hook import ContextPoolHook
from .epoch_seed_hook import EpochSeedHook
from .feature_cache_hook import FeatureCacheHook
from .fit_loop import FitLoop
from .non_finite_loss_hook import NonFiniteLossHook
from .result_table_hook import ResultTableHook
from .speed import AutocastOptimWrapper, ChannelsLastHook, CompileHook

__all__ = [
    'AtomicBackend',
    'AutocastOptimWrapper', 'BoxFrameHook', 'ChannelsLastHook', 'CheckpointFitHook',
    'ClassNamesHook', 'CompileHook', 'ContextPoolHook', 'EpochSeedHook',
    'FeatureCacheHook', 'FitLoop', 'NonFiniteLossHook', 'ResultTableHook'
]
