from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.localization import ClassMaps, LinearClassMaps

from .cam_head import CAMHead


@MODELS.register_module()
class PooledNormCAMHead(CAMHead):
    """CAM of a classifier with a layer norm between pooling and classifier, as ConvNeXt's.

    The norm of the pooled vector g is gamma (g - mean(g)) / sigma + beta, over the channels. Up to
    sigma, one number for an image, and a constant, the score of a class is linear in the feature
    map less its mean over the channels: W gamma times that is the map.

    Args:
        norm (nn.Module): The layer norm, mmpretrain's ``LN2d`` with weights; takes (B, c, 1, 1).
        **kwargs: Arguments of :class:`CAMHead`.
    """

    def __init__(self, norm: nn.Module, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        return self.fc(self.norm(features.mean(dim=(2, 3), keepdim=True)).flatten(1))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores, and maps whose mean is the score times sigma, up to a constant."""
        features = self.pre_logits(feats)
        centred = features - features.mean(dim=1, keepdim=True)
        return self.classify(features), LinearClassMaps(centred, self.fc.weight * self.norm.weight)
