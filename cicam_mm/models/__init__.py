from .backbones import NonLocalVGG
from .classifiers import TwoViewClassifier
from .context_pool import CausalContextPool, find_pools
from .heads import CAMHead, DualCAMHead
from .plugins import NonLocalBlock

__all__ = [
    'CAMHead', 'CausalContextPool', 'DualCAMHead', 'NonLocalBlock', 'NonLocalVGG',
    'TwoViewClassifier', 'find_pools'
]
