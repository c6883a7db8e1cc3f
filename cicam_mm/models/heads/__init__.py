from .cam_head import CAMHead
from .dual_cam_head import DualCAMHead

__all__ = ['CAMHead', 'DualCAMHead']
