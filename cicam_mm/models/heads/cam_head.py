
import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS, TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor, nn


@MODELS.register_module()
class CAMHead(ClsHead):
    """Average pool, one linear layer, and localization from its class activation maps.

    With the map rule ``top1`` this is CAM, with a combined map NL-CCAM. Works on the last
    feature map of any MMPretrain backbone.

    Args:
        num_classes (int): n.
        in_channels (int): c, channels of the last feature map.
        localizer (dict): Config of the :class:`CombinationalLocalizer`. Defaults to plain CAM
            with theta 0.2.
        init_cfg (dict): Initialization. Defaults to normal with std 0.01 for the classifier.
        **kwargs: ``loss``, ``topk`` and ``cal_acc`` of mmpretrain's :class:`ClsHead`.
    """

    #: Best classes that are given a box, for Top-5 Loc.
    num_boxes = 5

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 localizer: dict = dict(map_rule='top1', theta=0.2),
                 init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.01),
                 **kwargs):
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)
        self.localizer = TASK_UTILS.build(
            localizer, default_args=dict(type='CombinationalLocalizer'))

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The last feature map X, shape (B, c, h, w); anything else is an error."""
        features = feats[-1]
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__} needs a feature map (B, {self.in_channels}, h, w), got '
                f'{tuple(features.shape)}; set in_channels to its channels, and let neither the '
                'backbone nor a neck pool it.')
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Class scores before the softmax: (B, c, h, w) to (B, n)."""
        return self.fc(features.mean(dim=(2, 3)))

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Class scores before the softmax, shape (B, n)."""
        return self.classify(self.pre_logits(feats))

    def localization_features(self, features: Tensor) -> Tensor:
        """The features whose maps localize: X here, X^e in CI-CAM."""
        return features

    def predict(self,
                feats: tuple[Tensor],
                data_samples: list[DataSample],
                ranking_scores: Tensor | None = None) -> list[DataSample]:
        """Class, score map and box of each image.

        Args:
            feats (tuple[Tensor]): Feature maps of the backbone; the last one is used.
            data_samples (list[DataSample]): Completed and returned. They tell the sizes that
                boxes refer to (``img_shape``, ``ori_shape``).
            ranking_scores (Tensor, optional): Scores from another view of the images, shape
                (B, n), which replace this view's. Defaults to None.

        Returns:
            list[DataSample]: With ``pred_score``, ``pred_label``, ``top_labels`` (the five best
            classes), ``score_map`` (h, w), ``pred_boxes`` (one for each of top_labels) and
            ``pred_box``; where the label is known also ``label_map`` and ``label_box``.
        """
        features = self.localization_features(self.pre_logits(feats))
        scores = self.classify(features) if ranking_scores is None else ranking_scores
        scores = scores.float()
        samples = self._get_predictions(scores, data_samples)
        classes = top_labels = scores.topk(min(self.num_boxes, self.num_classes)).indices
        labelled = all('gt_label' in sample for sample in samples)
        if labelled:
            labels = torch.stack([sample.gt_label for sample in samples])
            classes = torch.cat([top_labels, labels], dim=1)
        maps = self.localizer.score_maps(features, self.fc.weight, scores, classes)
        maps = maps.detach().float()
        boxes = self.localizer.boxes(maps, samples)
        maps, boxes = maps.cpu(), boxes.expand(-1, classes.shape[1], -1)
        for i, sample in enumerate(samples):
            sample.set_data(dict(
                top_labels=top_labels[i],
                score_map=maps[i, 0],
                pred_box=boxes[i, 0],
                pred_boxes=boxes[i, :top_labels.shape[1]]))
            if labelled:
                sample.set_data(dict(label_map=maps[i, -1], label_box=boxes[i, -1]))
        return samples
