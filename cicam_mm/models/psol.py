"""PSOL: a network learns boxes that another method made."""
import torch
import torch.nn.functional as F
from mmpretrain.models import BaseClassifier, ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torchvision.ops import box_convert

from cicam_mm.checkpoints.weights import build_trained
from cicam_mm.localization.map_rules import rank_classes
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import image_name

from .wsol_head import WSOLHead


@MODELS.register_module()
class PSOLHead(WSOLHead):
    """Pseudo supervised object localization (PSOL, CVPR 2020): regression of one box.

    Two linear layers and a sigmoid turn the mean of the feature map into x, y, w, h as shares of
    the image. They learn from boxes such as those of DDT with ``loss_weight`` times the mean
    squared error. The box does not depend on the class, and there is no score map.

    The head does not classify; without classes from elsewhere (:class:`SeparateClassifier`)
    predictions have a box only, and :class:`WSOLMetric` gives GT-known Loc alone.
    """

    def __init__(self, num_classes: int, in_channels: int, hidden_channels: int = 512,
                 loss_weight: float = 50., **kwargs):
        super().__init__(num_classes, **kwargs)
        self.in_channels = in_channels
        self.loss_weight = loss_weight
        self.box = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.ReLU(),
            nn.Linear(hidden_channels, 4), nn.Sigmoid())

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """x, y, w, h in shares of the network's input, shape (B, 4)."""
        return self.box(self.feature_map(feats, self.in_channels).mean(dim=(2, 3)))

    def localize(self, feats: tuple[Tensor]):
        """There are no maps."""
        raise UserError('PSOLHead predicts a box without a score map; test.py, infer.py and '
                        'WSOLInferencer take it, but not what combines or exports maps.')

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """The weighted mean squared error of x, y, w, h.

        The target is the first of an image's ``gt_bboxes``, in pixels of the network's input.
        """
        found = self(feats).float()
        targets = torch.stack([_target(sample) for sample in data_samples]).to(found)
        return dict(loss=self.loss_weight * F.mse_loss(found, targets))

    def predict(self,
                feats: tuple[Tensor],
                data_samples: list[DataSample],
                ranking_scores: Tensor | None = None) -> list[DataSample]:
        """The box of each image, and its class if there are scores from elsewhere.

        ``pred_box``, ``pred_boxes`` and ``label_box`` are the same box, rounded and cut at the
        border.
        """
        boxes = box_convert(self(feats).float(), 'xywh', 'xyxy').cpu()
        if ranking_scores is not None:
            scores = ranking_scores.float()
            self._get_predictions(scores, data_samples)
            for sample, top_labels in zip(
                    data_samples, rank_classes(scores)[:, :self.num_boxes], strict=True):
                sample.set_data(dict(top_labels=top_labels))
        for sample, box in zip(data_samples, boxes, strict=True):
            height, width = self.localizer.frame_shape(sample)
            box = (box.clamp(0, 1) * torch.tensor([width, height] * 2)).round().long()
            sample.set_data(dict(
                pred_box=box, pred_boxes=box.expand(self.num_boxes, -1), label_box=box))
        return data_samples


def _target(sample):
    """The sample's box as x, y, w, h in shares of the network's input."""
    boxes = torch.as_tensor(sample.get('gt_bboxes', ()))
    if not len(boxes):
        raise UserError(
            f'{image_name(sample)} has no box to learn; make boxes with '
            'tools/infer.py, and load them with LoadPseudoBoxes in the training pipeline.')
    height, width = sample.img_shape[:2]
    x0, y0, x1, y1 = boxes[0].tolist()
    return torch.tensor([x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height])


@MODELS.register_module()
class SeparateClassifier(ImageClassifier):
    """Boxes from this network, classes from another one, as PSOL is tested.

    Training and checkpoints are those of mmpretrain's :class:`ImageClassifier`, without the other
    network.

    Args:
        classifier (dict): ``config`` and ``checkpoint`` of the other network, which may be any
            MMPretrain classifier of the same classes. It sees the same view of the image.
    """

    def __init__(self, classifier: dict, **kwargs):
        super().__init__(**kwargs)
        self._other = (build_trained(**classifier), )  # in a tuple, so that it is not a submodule

    @property
    def other_networks(self) -> dict[str, BaseClassifier]:
        """By their names in messages, for :class:`ClassNamesHook`."""
        return {'the separate classifier': self._other[0]}

    def test_step(self, data: dict) -> list[DataSample]:
        """Predict a batch, ``inputs`` and ``data_samples``, not preprocessed."""
        own = self.data_preprocessor(data)
        other = self._other[0].to(own['inputs'].device)
        scores = other(other.data_preprocessor(data)['inputs'])
        if scores.shape[1] != self.head.num_classes:
            raise UserError(f'the separate classifier has {scores.shape[1]} classes, but this '
                            f'model {self.head.num_classes}; take one of the same data set.')
        return self.predict(**own, ranking_scores=scores)

    val_step = test_step
