import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .attention import attend


@MODELS.register_module()
class NonLocalBlock(BaseModule):
    """Non-local block of NL-CCAM: y = x + BN(W(softmax(q k^T) v)).

    Query and key have reduced channels, value and W all channels (unlike in mmcv's
    ``NonLocal2d``), and the softmax is not scaled. BN starts with zero weight and bias, so the
    block starts as the identity.

    Args:
        in_channels (int): C.
        reduction (int): Query and key have ``in_channels // reduction`` channels. Defaults to 8.
        norm_cfg (dict): The norm layer. Defaults to ``dict(type='BN')``.
        init_cfg (dict, optional): Initialization of the convolutions. Defaults to None.
    """

    _abbr_ = 'non_local'

    def __init__(self,
                 in_channels: int,
                 reduction: int = 8,
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        narrow = max(in_channels // reduction, 1)
        self.query = nn.Conv2d(in_channels, narrow, 1)
        self.key = nn.Conv2d(in_channels, narrow, 1)
        self.value = nn.Conv2d(in_channels, in_channels, 1)
        self.mix = nn.Conv2d(in_channels, in_channels, 1)
        self.norm = build_norm_layer(norm_cfg, in_channels)[1]
        self._start_as_identity()

    def init_weights(self):
        super().init_weights()
        self._start_as_identity()

    def _start_as_identity(self):
        nn.init.zeros_(self.norm.weight)
        nn.init.zeros_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over all positions.

        Args:
            x (Tensor): Shape (B, C, h, w).

        Returns:
            Tensor: Same shape.
        """
        sizes = [conv.out_channels for conv in (self.query, self.key, self.mix)]
        mapped = F.conv2d(x, *self._weights())
        attended = attend(*(part.flatten(2).mT for part in mapped.split(sizes, dim=1)))
        attended = attended.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        if not x.is_contiguous(memory_format=torch.channels_last):
            attended = attended.contiguous()  # otherwise norm and sum read with large strides
        return x + self.norm(attended)

    def _weights(self) -> tuple[Tensor, Tensor]:
        """All 1x1 convolutions as one: weight (2 C / reduction + C, C, 1, 1) and bias.

        Attention weights sum to 1, so W folds into the value projection: W(A v) = A(W v).
        """
        mix, value = self.mix.weight[..., 0, 0], self.value.weight[..., 0, 0]
        return (torch.cat([self.query.weight, self.key.weight, (mix @ value)[..., None, None]]),
                torch.cat([self.query.bias, self.key.bias,
                           torch.addmv(self.mix.bias, mix, self.value.bias)]))
