"""SPG's loss: pixels with a confident attention in one branch are labels for another."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from cicam_mm.localization.class_maps import ClassMaps, DenseClassMaps
from cicam_mm.utils.errors import UserError

from .map_branch import map_branch, stretch, upsample
from .wsol_head import WSOLHead

IGNORED = 255

# With fewer object pixels, the high threshold becomes a share of the maximum.
MIN_OBJECT_PIXELS, SHARE_OF_MAXIMUM = 30, 0.7


@torch.no_grad()
def sure_pixels(attention: Tensor, high: float, low: float) -> Tensor:
    """Pixel labels: object above ``high``, background below ``low``, ignored in between.

    For an image with fewer than 30 pixels above ``high``, the threshold is 0.7 of its maximum
    instead; other images keep ``high`` (in the release, the lower threshold also applies to the
    rest of the batch). A pixel that qualifies as both is background. NaN is ignored.

    Attention is (B, 1, H, W), in [0, 1]; labels are uint8: 1 object, 0 background, 255 ignored.
    """
    few = (attention > high).sum(dim=(2, 3), keepdim=True) < MIN_OBJECT_PIXELS
    highest = attention.amax(dim=(2, 3), keepdim=True)
    cut = torch.where(few, SHARE_OF_MAXIMUM * highest, high)
    labels = torch.full_like(attention, IGNORED, dtype=torch.uint8)
    labels[attention > cut] = 1
    labels[attention < low] = 0
    return labels


def sure_pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the pixels of the batch that are not ignored.

    The average is over the batch of all processes, assuming that they average their gradients. If
    all pixels are ignored, the loss is 0 (NaN in the released code).
    """
    sure = (labels != IGNORED).to(logits)
    count = sure.sum()
    all_reduce(count, op='mean')
    total = F.binary_cross_entropy_with_logits(
        logits, (labels == 1).to(logits), weight=sure, reduction='sum')
    return total / count.clamp(min=torch.finfo(count.dtype).tiny)


@MODELS.register_module()
class SPGHead(WSOLHead):
    """Self-produced guidance (SPG, ECCV 2018) on VGG: confident attention becomes pixel labels.

    Head A, two 3x3 convolutions and a 1x1 convolution, gives a map per class; its mean is the
    class score. Three side branches learn to separate object and background at the pixels where
    an attention P is confident (:func:`sure_pixels`); P has no gradient:

    ====== ==================================== ==========================================
    branch input                                P
    ====== ==================================== ==========================================
    B2     stage 5                              A's map of the true class, enlarged and then
                                                normalized to [0, 1]
    B1     stage 4, after its pool              sigmoid of B2
    C      A's features before the last layer   mean of the sigmoids of B1 and B2
    ====== ==================================== ==========================================

    B1 and B2 share their last two layers. Testing uses A only. The authors released SPG for
    InceptionV3 only; on VGG16 this head follows "Evaluating WSOL Methods Right". The backbone has
    to return stages 4 and 5: ``out_indices=(3, 4)``.

    Args:
        in_channels (Sequence[int]): Channels of the last two feature maps.
        hidden_channels (int): Channels of all 3x3 convolutions in this head.
        thresholds (Sequence[tuple]): (high, low) for B2, B1 and C, each in [0, 1]. The defaults
            are the release's; "Evaluating WSOL Methods Right" has low 0.01 for B2.
        mask_size (int): Width and height, in pixels, to which maps are enlarged for the losses
            of the side branches, whatever the image size.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: Sequence[int] = (512, 512),
                 hidden_channels: int = 512,
                 thresholds: Sequence[tuple[float, float]] = ((.7, .05), (.5, .05), (.7, .1)),
                 mask_size: int = 224,
                 localizer: dict = dict(map_rule='top1', box_rule='wsoleval', theta=0.2),
                 init_cfg: dict | None = dict(type='Kaiming', layer='Conv2d'),
                 **kwargs):
        super().__init__(num_classes, localizer, init_cfg=init_cfg, **kwargs)
        if len(thresholds) != 3 or not all(0 <= low <= high <= 1 for high, low in thresholds):
            raise UserError('thresholds must be a pair (high, low) for each of B2, B1 and C, '
                            f'with 0 <= low <= high <= 1, got {thresholds}.')
        self.in_channels = in_channels
        self.thresholds = thresholds
        self.mask_size = (mask_size, mask_size)
        earlier, last = in_channels
        self.head_a = map_branch(last, hidden_channels, num_classes)
        self.branch_b1 = _conv_relu(earlier, hidden_channels)
        self.branch_b2 = _conv_relu(last, hidden_channels)
        self.shared = nn.Sequential(
            *_conv_relu(hidden_channels, hidden_channels), nn.Conv2d(hidden_channels, 1, 1))
        self.branch_c = nn.Sequential(
            *_conv_relu(hidden_channels, hidden_channels), nn.Conv2d(hidden_channels, 1, 1))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores and maps of head A."""
        maps = self.head_a(self.feature_map(feats, self.in_channels[1]))
        return maps.mean(dim=(2, 3)), DenseClassMaps(maps)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of head A, and the losses of the side branches at confident pixels."""
        if len(feats) < 2:
            raise UserError('SPGHead trains on the feature maps of two stages, got one; set '
                            'out_indices of the backbone, to (3, 4) for VGG16.')
        maps, side_logits = self.branches(feats)
        losses = self._get_loss(maps.mean(dim=(2, 3)), data_samples, **kwargs)
        losses['loss_class'] = losses.pop('loss')
        attentions = self.attentions(maps, side_logits, self.labels(data_samples))
        for name, attention, logits, (high, low) in zip(
                ('b2', 'b1', 'c'), attentions, side_logits, self.thresholds, strict=True):
            labels = sure_pixels(attention, high, low)
            losses[f'loss_{name}'] = sure_pixel_loss(logits.float(), labels)
        return losses

    def branches(self, feats: tuple[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Maps of A, shape (B, n, h, w), and enlarged logits of B2, B1 and C, (B, 1, H, W)."""
        earlier = self.feature_map(feats, self.in_channels[0], level=-2)
        last = self.feature_map(feats, self.in_channels[1])
        deep = self.head_a[:-1](last)
        side_logits = [self.shared(self.branch_b2(last)), self.shared(self.branch_b1(earlier)),
                       self.branch_c(deep)]
        return self.head_a[-1](deep), [upsample(each, self.mask_size) for each in side_logits]

    def attentions(self, maps: Tensor, side_logits: list[Tensor],
                   classes: Tensor) -> list[Tensor]:
        """P (B, 1, H, W) of B2, B1 and C, without gradients; NaN if A's map is constant.

        Maps and logits are those of :meth:`branches`, classes (B, ) the true ones.
        """
        b2, b1 = (logits.detach().float().sigmoid() for logits in side_logits[:2])
        of_class = DenseClassMaps(maps.detach()).of_classes(classes[:, None])
        return [stretch(upsample(of_class, self.mask_size)), b2, (b1 + b2) / 2]


def _conv_relu(in_channels, out_channels):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True))
