from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.localization import ClassMaps, LinearClassMaps

from .cam_head import CAMHead


@MODELS.register_module()
class PooledNormCAMHead(CAMHead):
    """CAM for networks with a layer norm between pooling and classifier, such as ConvNeXt.

    The layer norm of the pooled vector g is gamma (g - mean(g)) / sigma + beta, with statistics
    over the channels. Up to the factor 1 / sigma, one number per image, and a constant, the score
    of a class is linear in the feature map minus its channel mean. The class map is W gamma times
    that difference.

    Args:
        norm (nn.Module): The layer norm, mmpretrain's ``LN2d`` with weights, for (B, c, 1, 1).
        **kwargs: Arguments of :class:`CAMHead`.
    """

    def __init__(self, norm: nn.Module, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        return self.fc(self.norm(features.mean(dim=(2, 3), keepdim=True)).flatten(1))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores, and maps whose mean is, up to a constant, the score times sigma."""
        features = self.pre_logits(feats)
        centred = features - features.mean(dim=1, keepdim=True)
        return self.classify(features), LinearClassMaps(centred, self.fc.weight * self.norm.weight)
