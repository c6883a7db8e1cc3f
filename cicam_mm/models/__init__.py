from .acol import ACoLHead
from .adl import ADL
from .cam_head import CAMHead, PooledNormCAMHead
from .context_pool import CausalContextPool, find_pools
from .conv_neck import ConvNeck
from .danet import DANetHead
from .dual_cam_head import DualCAMHead
from .efficientnet_lite import EfficientNetLite0
from .eil import EILHead, ErasedCopy
from .inception import InceptionV3Features
from .non_local import NonLocalBlock
from .rethinking_cam import RethinkingCAMHead
from .spg import SPGHead
from .two_view import TwoViewClassifier
from .vgg import NonLocalVGG
from .wsol_head import WSOLHead

__all__ = [
    'ACoLHead', 'ADL', 'CAMHead', 'CausalContextPool', 'ConvNeck', 'DANetHead', 'DualCAMHead',
    'EILHead', 'EfficientNetLite0', 'ErasedCopy', 'InceptionV3Features', 'NonLocalBlock',
    'NonLocalVGG', 'PooledNormCAMHead', 'RethinkingCAMHead', 'SPGHead', 'TwoViewClassifier',
    'WSOLHead', 'find_pools'
]
