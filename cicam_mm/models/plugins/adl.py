import torch
from mmengine.dist import broadcast
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .erasing import check_share, keep_mask


@MODELS.register_module()
class ADL(nn.Module):
    """Attention-based dropout layer (ADL, CVPR 2019), in training only; it has no parameters.

    A coin for each layer and batch decides: with probability p the most active part of each
    image's features is erased, x [a < gamma max(a)] with a = mean_c x_c (:func:`keep_mask`);
    else each position is weighed by its importance, x sigmoid(a), through which the gradient
    passes. Neither is rescaled. In testing x is given back as it is.

    The authors place it behind pool 3, pool 4 and conv5_3 of VGG16,
    ``plugins=[dict(cfg=dict(type='ADL'), stages=(3, 4, 5))]``; "Evaluating WSOL Methods Right"
    has the second one before pool 4 (``position='before_pool'``).

    Args:
        gamma (float): Share of the maximum from which on is erased, in [0, 1]. Defaults to 0.8,
            for VGG16 on CUB by the authors' word in their issue tracker; their code's default
            is 0.5, and 0.9 that of "Evaluating WSOL Methods Right".
        p (float): Probability of erasing, in [0, 1]. Defaults to 0.75, as published.

    Raises:
        ValueError: If gamma or p is outside [0, 1].
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

    @staticmethod
    def _toss():
        coin = torch.rand(())
        broadcast(coin)  # one coin for the batch, however many processes share it
        return coin.item()


def erases(coin: float, p: float) -> bool:
    """Whether a coin, uniform in [0, 1), erases with probability p; in the authors' way."""
    return coin + p >= 1
