from .backbones import NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .heads import CAMHead, DualCAMHead, EILHead, WSOLHead
from .necks import ConvNeck
from .plugins import ErasedCopy, NonLocalBlock

__all__ = [
    'CAMHead', 'CausalContextPool', 'ConvNeck', 'DualCAMHead', 'EILHead', 'ErasedCopy',
    'NonLocalBlock', 'NonLocalVGG', 'TwoViewClassifier', 'WSOLHead', 'find_pools'
]
