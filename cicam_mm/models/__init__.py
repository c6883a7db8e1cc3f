from .backbones import InceptionV3Features, NonLocalVGG
from .bas import BASHead, ResNetLastStage
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .ddt import DDTHead
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
from .psol import PSOLHead, SeparateClassifier

__all__ = [
    'ACoLHead', 'ADL', 'BASHead', 'CAMHead', 'CausalContextPool', 'ConvNeck', 'DANetHead',
    'DDTHead', 'DualCAMHead', 'EILHead', 'ErasedCopy', 'InceptionV3Features', 'NonLocalBlock',
    'NonLocalVGG', 'PSOLHead', 'PooledNormCAMHead', 'RethinkingCAMHead', 'ResNetLastStage',
    'SPGHead', 'SeparateClassifier', 'TwoViewClassifier', 'WSOLHead', 'find_pools'
]
