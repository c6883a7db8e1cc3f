from .channels_last_hook import ChannelsLastHook
from .class_count_hook import ClassCountHook
from .compile_hook import CompileHook
from .context_pool_hook import ContextPoolHook
from .epoch_seed_hook import EpochSeedHook
from .result_table_hook import ResultTableHook

__all__ = [
    'ChannelsLastHook', 'ClassCountHook', 'CompileHook', 'ContextPoolHook', 'EpochSeedHook',
    'ResultTableHook'
]
