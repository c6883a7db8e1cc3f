from .cam_head import CAMHead
from .dual_cam_head import DualCAMHead
from .eil_head import EILHead
from .wsol_head import WSOLHead

__all__ = ['CAMHead', 'DualCAMHead', 'EILHead', 'WSOLHead']
