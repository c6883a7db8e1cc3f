from .atomic_backend import AtomicBackend
from .autocast_optim_wrapper import AutocastOptimWrapper
from .box_frame_hook import BoxFrameHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_fit_hook import CheckpointFitHook
from .class_count_hook import ClassCountHook
from .compile_hook import CompileHook
from .context_pool_hook import ContextPoolHook
from .epoch_seed_hook import EpochSeedHook
from .feature_cache_hook import FeatureCacheHook
from .non_finite_loss_hook import NonFiniteLossHook
from .rank_watch_hook import RankWatchHook
from .result_table_hook import ResultTableHook
from .total_batch_hook import TotalBatchHook

__all__ = [
    'AtomicBackend', 'AutocastOptimWrapper', 'BoxFrameHook', 'ChannelsLastHook',
    'CheckpointFitHook', 'ClassCountHook', 'CompileHook', 'ContextPoolHook', 'EpochSeedHook',
    'FeatureCacheHook', 'NonFiniteLossHook', 'RankWatchHook', 'ResultTableHook', 'TotalBatchHook'
]
