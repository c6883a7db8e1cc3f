import torch
from mmengine.dist import broadcast
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .erasing import check_share, keep_mask


@MODELS.register_module()
class ADL(nn.Module):
    """Attention-based dropout layer (ADL, CVPR 2019); acts in training only, no parameters.

    One random draw per layer and batch decides: with probability p, the most active part of each
    image's features is erased, x [a < gamma max(a)] with a = mean_c x_c (:func:`keep_mask`);
    otherwise each position is weighted by its importance, x sigmoid(a), with gradients through
    the weights. Neither is rescaled. In testing, the layer returns x unchanged.

    The authors place it after pool 3, pool 4 and conv5_3 of VGG16,
    ``plugins=[dict(cfg=dict(type='ADL'), stages=(3, 4, 5))]``; "Evaluating WSOL Methods Right"
    has the second one before pool 4 (``position='before_pool'``).

    Args:
        gamma (float): Share of the maximum at and above which a position is erased, in [0, 1].
            The authors give 0.8 in their issue tracker for VGG16 on CUB; their code's default is
            0.5, that of "Evaluating WSOL Methods Right" is 0.9.
        p (float): Probability of erasing, in [0, 1]; 0.75 is the published one.
    """

    _abbr_ = 'adl'

    def __init__(self, gamma: float = 0.8, p: float = 0.75):
        super().__init__()
        check_share('gamma', gamma)
        check_share('p', p)
        self.gamma = gamma
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, h, w) to the same shape."""
        if not self.training:
            return x
        if erases(self._toss(), self.p):
            return x * keep_mask(x, self.gamma)
        return x * x.mean(dim=1, keepdim=True).sigmoid()

    def _toss(self):
        coin = torch.rand(())
        broadcast(coin)  # the same draw for the whole batch, on however many processes
        return coin.item()


def erases(coin: float, p: float) -> bool:
    """Whether a draw, uniform in [0, 1), means erasing with probability p; as the authors do."""
    return coin + p >= 1
