from .cam_head import CAMHead
from .danet_head import DANetHead
from .dual_cam_head import DualCAMHead
from .eil_head import EILHead
from .rethinking_cam_head import RethinkingCAMHead
from .wsol_head import WSOLHead

__all__ = ['CAMHead', 'DANetHead', 'DualCAMHead', 'EILHead', 'RethinkingCAMHead', 'WSOLHead']
