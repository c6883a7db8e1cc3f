from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class ConvNeck(BaseModule):
    """A 3x3 convolution and ReLU on the last feature map, before the head.

    CAM, ADL, EIL and Rethinking-CAM add this layer after VGG's convolutions.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 1024,
                 init_cfg: dict | list | None = dict(type='Kaiming', layer='Conv2d')):
        super().__init__(init_cfg)
        self.conv = ConvModule(in_channels, out_channels, 3, padding=1)

    def forward(self, feats: tuple[Tensor]) -> tuple[Tensor]:
        """From (B, in_channels, h, w), the last of ``feats``, to (B, out_channels, h, w)."""
        return (self.conv(feats[-1]), )
