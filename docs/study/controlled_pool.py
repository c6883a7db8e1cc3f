"""A context pool whose branch 2 reads something else than the row of the class.

The functions take the pool Q, shape (n, h, w), and classes, shape (B, ), and return a context for
each class, shape (B, h, w).
"""
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.models import CausalContextPool


def own_row(pool: Tensor, classes: Tensor) -> Tensor:
    """Q_k, the context of the class itself, as in CI-CAM."""
    return pool[classes]


def other_row(pool: Tensor, classes: Tensor) -> Tensor:
    """Q_{k + 1}, the context of a fixed other class; the last class gets the first row."""
    return pool[(classes + 1) % len(pool)]


def far_row(pool: Tensor, classes: Tensor) -> Tensor:
    """The context of the class half the list away, where neighbours in the list are kin."""
    return pool[(classes + len(pool) // 2) % len(pool)]


def mean_row(pool: Tensor, classes: Tensor) -> Tensor:
    """The mean of all rows, whatever the class."""
    return pool.mean(dim=0).expand(len(classes), -1, -1)


def zeros(pool: Tensor, classes: Tensor) -> Tensor:
    """Zeros: only the bias of the projection remains, a gain per channel."""
    return pool.new_zeros(len(classes), *pool.shape[1:])


def ones(pool: Tensor, classes: Tensor) -> Tensor:
    """Ones: a gain per channel and class, the same at every position."""
    return pool.new_ones(len(classes), *pool.shape[1:])


def centre_bump(pool: Tensor, classes: Tensor) -> Tensor:
    """A fixed bump in the middle, :func:`bump`, whatever the class and the pool."""
    return bump(*pool.shape[1:]).to(pool).expand(len(classes), -1, -1)


def bump(height: int, width: int) -> Tensor:
    """A centred Gaussian, standardized to mean 0 and deviation 1 like rows of a trained pool.

    Its widths (sigma) are a quarter of the height and of the width.

    Returns:
        Tensor: Shape (height, width), float32.
    """
    y, x = ((torch.arange(size) + 0.5) / size - 0.5 for size in (height, width))
    values = torch.exp(-(y[:, None]**2 + x**2) / (2 * 0.25**2))
    return (values - values.mean()) / values.std(correction=0).clamp(min=1e-5)


CONTEXTS = dict(own=own_row, other=other_row, far=far_row, mean=mean_row, bump=centre_bump,
                ones=ones, zeros=zeros)


@MODELS.register_module()
class ControlledPool(CausalContextPool):
    """CI-CAM's pool with controls; it is updated in any case.

    Args:
        context (str): What branch 2 reads in training and testing, one of ``CONTEXTS``. Defaults
            to 'own', as CI-CAM.
        test_context (str, optional): The same for testing only. Defaults to None, which means
            ``context``.
        bias (bool): Whether the projection has a bias. Defaults to True.
        **kwargs: Arguments of :class:`CausalContextPool`.
    """

    def __init__(self, *args, context: str = 'own', test_context: str | None = None,
                 bias: bool = True, **kwargs):
        super().__init__(*args, **kwargs)
        self.read = [CONTEXTS[test_context or context], CONTEXTS[context]]
        if not bias:
            nn.init.zeros_(self.projection.bias).requires_grad_(False)

    def contexts(self, classes: Tensor) -> Tensor:
        return self.read[self.training](self.pool, classes)
