from .backbones import InceptionV3Features, NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .gradient_maps import MapsOfClassifier
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
from .scm import SCMHead
from .ts_cam import TokenAttentionViT, TSCAMHead

__all__ = [
    'ACoLHead', 'ADL', 'CAMHead', 'CausalContextPool', 'ConvNeck', 'DANetHead', 'DualCAMHead',
    'EILHead', 'ErasedCopy', 'InceptionV3Features', 'MapsOfClassifier', 'NonLocalBlock',
    'NonLocalVGG', 'PooledNormCAMHead', 'RethinkingCAMHead', 'SCMHead', 'SPGHead', 'TSCAMHead',
    'TokenAttentionViT', 'TwoViewClassifier', 'WSOLHead', 'find_pools'
]
