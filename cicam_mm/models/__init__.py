from .backbones import InceptionV3Features, NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .heads import (
    ACoLHead,
    CAMHead,
    DANetHead,
    DualCAMHead,
    EILHead,
    PooledNormCAMHead,
    RethinkingCAMHead,
    SPGHead,
    WSOLHead,
)
from .necks import ConvNeck
from .plugins import ADL, ErasedCopy, NonLocalBlock

__all__ = [
    'ACoLHead', 'ADL', 'CAMHead', 'CausalContextPool', 'ConvNeck', 'DANetHead', 'DualCAMHead',
    'EILHead', 'ErasedCopy', 'InceptionV3Features', 'NonLocalBlock', 'NonLocalVGG',
    'PooledNormCAMHead', 'RethinkingCAMHead', 'SPGHead', 'TwoViewClassifier', 'WSOLHead',
    'find_pools'
]
