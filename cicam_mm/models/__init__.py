from .backbones import NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .heads import CAMHead, DualCAMHead, WSOLHead
from .necks import ConvNeck
from .plugins import NonLocalBlock

__all__ = [
    'CAMHead', 'CausalContextPool', 'ConvNeck', 'DualCAMHead', 'NonLocalBlock', 'NonLocalVGG',
    'TwoViewClassifier', 'WSOLHead', 'find_pools'
]
