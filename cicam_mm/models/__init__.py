from .cam_head import CAMHead
from .context_pool import CausalContextPool, find_pools
from .dual_cam_head import DualCAMHead
from .non_local import NonLocalBlock
from .two_view import TwoViewClassifier
from .vgg import NonLocalVGG

__all__ = [
    'CAMHead', 'CausalContextPool', 'DualCAMHead', 'NonLocalBlock', 'NonLocalVGG',
    'TwoViewClassifier', 'find_pools'
]
