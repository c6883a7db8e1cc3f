from .acol_head import ACoLHead
from .cam_head import CAMHead
from .danet_head import DANetHead
from .dual_cam_head import DualCAMHead
from .eil_head import EILHead
from .pooled_norm_cam_head import PooledNormCAMHead
from .rethinking_cam_head import RethinkingCAMHead
from .spg_head import SPGHead
from .wsol_head import WSOLHead

__all__ = ['ACoLHead', 'CAMHead', 'DANetHead', 'DualCAMHead', 'EILHead',
           'PooledNormCAMHead', 'RethinkingCAMHead', 'SPGHead', 'WSOLHead']
