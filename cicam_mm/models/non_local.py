"""Dot-product attention over positions, with memory linear in their number."""
import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine import dist
from mmengine.model import BaseModule
from mmengine.registry import MODELS as NORM_LAYERS
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from cicam_mm.utils.stack import is_exporting

# Up to this many attention weights of a batch (16 MB in float32) are kept for the backward pass.
# If there are more, they are computed in blocks of about that size, with at least MIN_QUERIES
# queries of every image, and recomputed in the backward pass. Blocks of 2**21 cost 1 to 5 % more,
# blocks of 2**20 8 to 14 %, with AVX2 as well as AVX-512. A block spans the batch, because with a
# product per image the threads wait for each other in every product.
WEIGHTS_AT_ONCE, MIN_QUERIES = 2**22, 64

# Unscaled scores are easily a hundred below the largest of their row. There exp is denormal, which
# slows everything that follows by up to twenty times. exp(-50) is negligible even in float64.
LOWEST_SCORE = -50


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Average the values over all positions, weighted by the softmax of query-key products.

    This is the embedded Gaussian non-local operation, unscaled. On the CPU, softmax and sums use
    float32 or better, even under autocast. Either of the last two dimensions may be contiguous
    in memory; no input is copied. Queries (B, N, d), keys (B, M, d) and values (B, M, c) give
    ``softmax(query @ key.mT) @ value``, (B, N, c), with the dtype of the values.
    """
    if query.device.type != 'cpu' or is_exporting():
        return _fused(query, key, value)
    exact = torch.promote_types(value.dtype, torch.float32)
    with torch.autocast('cpu', enabled=False):
        return _average_in_blocks(*(x.to(exact) for x in (query, key, value))).to(value.dtype)


def _fused(query, key, value):
    query, key, value = (x.contiguous().unsqueeze(1) for x in (query, key, value))  # one head
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)


def _average_in_blocks(query, key, value):
    if len(query) * query.shape[1] * key.shape[1] <= WEIGHTS_AT_ONCE:
        return _average(query, key, value)
    rows = max(MIN_QUERIES, WEIGHTS_AT_ONCE // (len(query) * key.shape[1]))
    return torch.cat([
        checkpoint(_average, block, key, value, use_reentrant=False, preserve_rng_state=False)
        for block in query.split(rows, dim=1)], dim=1)


def _average(query, key, value):
    scores = query @ key.mT
    with torch.no_grad():  # the gradient of softmax at the clamped scores is negligible
        scores.clamp_(min=scores.amax(2, keepdim=True) + LOWEST_SCORE)
    return torch.softmax(scores, dim=2) @ value


class _TotalSum(torch.autograd.Function):
    """Sum over all processes; so is the gradient of each."""

    @staticmethod
    def forward(ctx, x):
        return _summed(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return _summed(grad)


def _summed(x):
    x = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x)
    return x


@NORM_LAYERS.register_module()
class TotalBatchNorm(nn.BatchNorm2d):
    """BN over the images of all processes, so that k of them compute what one would.

    PyTorch's ``SyncBatchNorm`` does the same on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or dist.get_world_size() == 1:
            return super().forward(x)
        exact = x.to(self.running_mean.dtype)
        totals = torch.cat([exact.sum(dim=(0, 2, 3)), exact.new_tensor([x[:, 0].numel()])])
        sums, count = _TotalSum.apply(totals).split([self.num_features, 1])
        mean = sums / count
        centred = exact - mean[:, None, None]
        variance = _TotalSum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


@MODELS.register_module()
class NonLocalBlock(BaseModule):
    """Non-local block of NL-CCAM: y = x + BN(W(softmax(q k^T) v)).

    Query and key have reduced channels, value and W all channels (unlike in mmcv's
    ``NonLocal2d``), and the softmax is not scaled. BN starts with zero weight and bias, so the
    block starts as the identity.

    Args:
        reduction (int): Query and key have ``in_channels // reduction`` channels.
    """

    _abbr_ = 'non_local'

    def __init__(self,
                 in_channels: int,
                 reduction: int = 8,
                 norm_cfg: dict = dict(type='TotalBatchNorm'),
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
        """Attend over all positions, (B, C, h, w) to the same shape."""
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
