import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.localization.class_maps import ClassMaps, LinearClassMaps

from .wsol_head import WSOLHead


@MODELS.register_module()
class CAMHead(WSOLHead):
    """Average pooling and one linear layer, which localizes by its class activation maps.

    This is CAM with the map rule ``top1``, and NL-CCAM with a combined map. It works on the last
    feature map of any MMPretrain backbone.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 localizer: dict = dict(map_rule='top1', theta=0.2),
                 init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.01),
                 **kwargs):
        super().__init__(num_classes, localizer, init_cfg=init_cfg, **kwargs)
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The last feature map X, shape (B, c, h, w)."""
        return self.feature_map(feats, self.in_channels)

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        return self.fc(features.mean(dim=(2, 3)))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores and CAMs of X (Eq. 1)."""
        features = self.pre_logits(feats)
        return self.classify(features), LinearClassMaps(features, self.fc.weight)


@MODELS.register_module()
class PooledNormCAMHead(CAMHead):
    """CAM for networks with a layer norm between pooling and classifier, such as ConvNeXt.

    The layer norm of the pooled vector g is gamma (g - mean(g)) / sigma + beta, with statistics
    over the channels. Up to the factor 1 / sigma, one number per image, and a constant, the score
    of a class is linear in the feature map minus its channel mean. The class map is W gamma times
    that difference.

    Args:
        norm (nn.LayerNorm): The layer norm, with weights; mmpretrain's ``LN2d`` is one, too.
    """

    def __init__(self, norm: nn.LayerNorm, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        norm = self.norm
        return self.fc(F.layer_norm(features.mean(dim=(2, 3)), norm.normalized_shape, norm.weight,
                                    norm.bias, norm.eps))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores, and maps whose mean is, up to a constant, the score times sigma."""
        features = self.pre_logits(feats)
        centred = features - features.mean(dim=1, keepdim=True)
        return self.classify(features), LinearClassMaps(centred, self.fc.weight * self.norm.weight)
