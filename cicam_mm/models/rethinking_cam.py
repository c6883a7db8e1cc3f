from mmpretrain.registry import MODELS
from torch import Tensor

from cicam_mm.localization.class_maps import ClassMaps, LinearClassMaps
from cicam_mm.utils.errors import UserError

from .cam_head import CAMHead


@MODELS.register_module()
class RethinkingCAMHead(CAMHead):
    """CAM with two of the three changes of Rethinking-CAM (ECCV 2020); the third is a box rule.

    Thresholded average pooling (TAP) averages over the active positions of a channel only, so
    small regions do not need large weights. Negative weight clamping (NWC) computes the maps with
    max(W, 0), so no part of the object is subtracted; scores still use W. "Percentile as a
    standard" (PaS) is the box rule ``rethinking``.

    Args:
        tap_threshold (float): Share of a channel's maximum above which a position is active, in
            [0, 1). 0.1 is the release's for VGG16 on CUB; the values for other networks, including
            0, are unverified.
        clamp_weights (bool): Whether maps use only the positive weights (NWC).
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 tap_threshold: float = 0.1,
                 clamp_weights: bool = True,
                 localizer: dict = dict(map_rule='top1', box_rule='rethinking', theta=0.35),
                 **kwargs):
        super().__init__(num_classes, in_channels, localizer=localizer, **kwargs)
        if not 0 <= tap_threshold < 1:
            raise UserError('tap_threshold must be a share of the maximum in [0, 1), got '
                            f'{tap_threshold}; at 1 nothing would be pooled.')
        self.tap_threshold = tap_threshold
        self.clamp_weights = clamp_weights

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        return self.fc(thresholded_average_pool(features, self.tap_threshold))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores and maps of X; the threshold of the pooling does not affect the maps."""
        features = self.pre_logits(feats)
        weight = self.fc.weight
        if self.clamp_weights:
            weight = weight.clamp(min=0)
        return self.classify(features), LinearClassMaps(features, weight)


def thresholded_average_pool(features: Tensor, threshold: float) -> Tensor:
    """Mean of each channel over the positions above a share of its maximum (TAP).

    A channel without positive values gives 0. A threshold of 0 gives the mean over the positive
    positions, not over all. From (B, c, h, w) to (B, c).
    """
    active = features > threshold * features.detach().amax(dim=(2, 3), keepdim=True)
    total = (features * active).sum(dim=(2, 3))
    return total / active.sum(dim=(2, 3)).clamp(min=1)
