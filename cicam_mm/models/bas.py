"""BAS: what is left where the object is erased must not respond."""
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones import ResNet
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.func import functional_call

from cicam_mm.localization import ClassMaps, DenseClassMaps

from .map_branch import map_branch
from .wsol_head import WSOLHead


@MODELS.register_module()
class BASHead(WSOLHead):
    """Background activation suppression (BAS, CVPR 2022).

    A generator, one 3x3 convolution and a sigmoid, predicts a foreground map F of each class from
    the features f before the last stage; the last stage and three convolutions with ReLU make
    class maps A from them, whose means are the scores. The loss of an image of class y is

        CE(mean(A), y) + a CE(mean(A F_y), y) + r + b mean(F_y),

    where r = S_b / S compares the score S of y with S_b, that of the background f (1 - F_y). Only
    the generator and the layers before it learn from r, because f and S are constants in it and
    S_b comes from last stage and classifier with frozen weights. An image with S_b >= S adds 0 to
    r and has no gradient there.

    Args:
        last_stage (dict): Config of the last stage, which follows a 2x2 max pool: a
            :class:`NonLocalVGG` with ``first_stage``, or a :class:`ResNetLastStage`.
        guidance_weight (float): a. The defaults are those released for VGG16 on CUB.
        area_weight (float): b.
        count_ties (bool): Whether an image with S_b = S counts in r, as in the release for ILSVRC.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 last_stage: dict,
                 stage_channels: int,
                 hidden_channels: int = 1024,
                 guidance_weight: float = 0.,
                 area_weight: float = 0.7,
                 count_ties: bool = False,
                 localizer: dict = dict(map_rule='topk_mean', box_rule='bas', theta=0.15),
                 init_cfg: dict | None = dict(type='Normal', layer='Conv2d', std=0.02),
                 **kwargs):
        super().__init__(num_classes, localizer, init_cfg=init_cfg, **kwargs)
        self.in_channels = in_channels
        self.guidance_weight = guidance_weight
        self.area_weight = area_weight
        self.count_ties = count_ties
        self.generator = nn.Conv2d(in_channels, num_classes, 3, padding=1)
        self.classifier = BASClassifier(
            last_stage, map_branch(stage_channels, hidden_channels, num_classes))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores, and the foreground maps of all classes."""
        features = self.feature_map(feats, self.in_channels)
        return self.classifier(features).mean(dim=(2, 3)), self.foreground(features)

    def foreground(self, features: Tensor) -> DenseClassMaps:
        """F of all classes, in [0, 1]."""
        return DenseClassMaps(self.generator(features).sigmoid())

    def background_scores(self, features: Tensor, foreground: Tensor) -> Tensor:
        """Scores (B, n) of what a foreground map (B, 1, h, w) leaves; only it gets a gradient.

        Running statistics of the last stage stay as they are.
        """
        frozen = {name: tensor.detach() for name, tensor in self.classifier.named_parameters()}
        frozen |= {name: tensor.clone() for name, tensor in self.classifier.named_buffers()}
        background = features.detach() * (1 - foreground)
        return functional_call(self.classifier, frozen, (background, )).mean(dim=(2, 3))

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """The four terms with their weights; guidance only if its weight is not 0."""
        features = self.feature_map(feats, self.in_channels)
        labels = self.labels(data_samples)[:, None]
        maps = self.classifier(features)
        foreground = self.foreground(features).of_classes(labels)
        scores = maps.mean(dim=(2, 3))
        losses = self._get_loss(scores, data_samples, **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        if self.guidance_weight:
            kept = F.adaptive_avg_pool2d(foreground, maps.shape[2:])
            guided = self._get_loss((maps * kept).mean(dim=(2, 3)), data_samples, **kwargs)
            losses['loss_guidance'] = self.guidance_weight * guided['loss']
        whole = scores.gather(1, labels)
        background = self.background_scores(features, foreground).gather(1, labels)
        losses['loss_background'] = remaining_activation(
            background, whole, self.count_ties).mean()
        losses['loss_area'] = self.area_weight * foreground.mean()
        return losses


def remaining_activation(background: Tensor, whole: Tensor, count_ties: bool = False) -> Tensor:
    """r = S_b / S of each image, 0 without gradient where the background responds no less.

    S, ``whole``, gets no gradient. With ``count_ties`` r is kept where S_b = S.
    """
    background, whole = background.float(), whole.detach().float()
    dropped = background > whole if count_ties else background >= whole
    return (background / (whole + 1e-8)).masked_fill(dropped, 0)


class BASClassifier(BaseModule):
    """A 2x2 max pool, the last stage and convolutions to class maps, which are not negative."""

    def __init__(self, last_stage: dict, to_maps: nn.Module):
        super().__init__()
        self.last_stage = MODELS.build(last_stage)
        self.to_maps = to_maps

    def forward(self, features: Tensor) -> Tensor:
        return self.to_maps(self.last_stage(F.max_pool2d(features, 2))[-1]).relu()


@MODELS.register_module()
class ResNetLastStage(ResNet):
    """The last stage of a ResNet alone, with the names that it has in the whole network."""

    def __init__(self, depth: int, stride: int = 1, **kwargs):
        super().__init__(depth, strides=(1, 2, 2, stride), **kwargs)
        for name in ('conv1', self.norm1_name, 'relu', 'maxpool', *self.res_layers[:-1]):
            delattr(self, name)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.layer4(x), )
