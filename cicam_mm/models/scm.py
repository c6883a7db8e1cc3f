"""SCM: spatial calibration module (ECCV 2022)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from cicam_mm.localization import ClassMaps, DenseClassMaps

from .map_branch import stretch
from .ts_cam import TSCAMHead


@MODELS.register_module()
class SCMHead(TSCAMHead):
    """SCM: TS-CAM trained through blocks that spread attention over similar neighbours.

    In training, blocks of two learnt scalars each calibrate the semantic maps S and the attention
    F, which is stretched to [0, 1] first (:func:`calibrate`); the score of a class is the mean of
    its calibrated map. The gradient also flows into the transformer's attention. In testing the
    blocks are left out: scores are the means of S, the map of class c is F S_c.

    Args:
        steps (Sequence[int]): Newton-Schulz steps of each block; the default is the release's.
        localizer (dict): theta 0.2 is ours; the authors chose theirs on the test images.
    """

    def __init__(self,
                 *args,
                 steps: Sequence[int] = (16, 4, 4, 4),
                 localizer: dict = dict(map_rule='top1', box_rule='wsoleval', theta=0.2),
                 **kwargs):
        super().__init__(*args, localizer=localizer, **kwargs)
        self.steps = steps
        self.balance = nn.Parameter(torch.ones(len(steps)))
        self.cut = nn.Parameter(torch.full((len(steps), ), 0.5))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Mean of S, and F S."""
        semantic = self.semantic_maps(feats)
        return semantic.mean(dim=(2, 3)), DenseClassMaps(stretch(feats[1]) * semantic)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of the calibrated scores, computed in float32 or better."""
        self.labels(data_samples)
        semantic, attention = self.semantic_maps(feats), stretch(feats[1])
        with torch.autocast(semantic.device.type, enabled=False):
            semantic = semantic.to(attention.dtype)
            for balance, cut, steps in zip(self.balance, self.cut, self.steps, strict=True):
                semantic, attention = calibrate(semantic, attention, balance, cut, steps)
        return self._get_loss(semantic.mean(dim=(2, 3)), data_samples, **kwargs)


def calibrate(semantic: Tensor, attention: Tensor, balance: Tensor, cut: Tensor,
              steps: int) -> tuple[Tensor, Tensor]:
    """One calibration block: S and F to S (1 + g) and F + g.

    The gate g is F, spread by the pseudo-inverse Y of a Laplacian X of the grid whose edges weigh
    1 - b E, with E the cosine similarity of two positions of S: r = Y^T F, t = r / (cut max F),
    and g is t - tanh t, stretched to [0, 1]. S is (B, n, h, w), F (B, 1, h, w), b ``balance``.
    """
    edges = laplacian(*semantic.shape[2:], semantic) * (balance * similarity(semantic) - 1)
    spread = newton_schulz(edges, steps).mT @ attention.flatten(2).mT
    scaled = spread.mT.view_as(attention) / (cut * attention.amax(dim=(2, 3), keepdim=True))
    gate = stretch(scaled - scaled.tanh())
    return semantic * (1 + gate), attention + gate


def similarity(semantic: Tensor) -> Tensor:
    """Cosine similarities of all positions, (B, n, h, w) to (B, h w, h w)."""
    columns = F.normalize(semantic.flatten(2), dim=1)
    return columns.mT @ columns


def laplacian(height: int, width: int, like: Tensor) -> Tensor:
    """Degrees minus adjacency of a grid with four neighbours, shape (h w, h w)."""
    places = torch.cartesian_prod(torch.arange(height, device=like.device),
                                  torch.arange(width, device=like.device))
    adjacency = ((places[:, None] - places).abs().sum(dim=2) == 1).to(like)
    return adjacency.sum(dim=0).diag() - adjacency


def newton_schulz(matrices: Tensor, steps: int) -> Tensor:
    """Steps Y <- Y (2 I - X Y) towards the inverse of each matrix X, shape (..., N, N).

    The start 0.002 X^T carries no gradient. With the few steps that SCM makes, Y is far from the
    inverse.
    """
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    inverse = 0.002 * matrices.mT.detach()
    for _ in range(steps):
        inverse = inverse @ (2 * identity - matrices @ inverse)
    return inverse
