from .backbones import InceptionV3Features, NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .heads import (
    CAMHead,
    DANetHead,
    DualCAMHead,
    EILHead,
    RethinkingCAMHead,
    WSOLHead,
)
from .necks import ConvNeck
from .plugins import ADL, ErasedCopy, NonLocalBlock

__all__ = [
    'ADL', 'CAMHead', 'CausalContextPool', 'ConvNeck', 'DANetHead', 'DualCAMHead', 'EILHead',
    'ErasedCopy', 'InceptionV3Features', 'NonLocalBlock', 'NonLocalVGG', 'RethinkingCAMHead',
    'TwoViewClassifier', 'WSOLHead', 'find_pools'
]
