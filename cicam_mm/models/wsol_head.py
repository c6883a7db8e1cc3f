import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization.class_maps import ClassMaps, SharedMap
from cicam_mm.localization.localizer import CombinationalLocalizer, build_localizer
from cicam_mm.localization.map_rules import rank_classes
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import image_name


class WSOLHead(ClsHead):
    """Base class of all heads that classify and localize; it has no layers.

    A method implements :meth:`localize`. Prediction, and training with the cross entropy of the
    scores, follow from that; a method with another loss overrides ``loss``, and one with a single
    map for all classes sets ``shared_map``.

    Args:
        localizer (dict): Config of the :class:`CombinationalLocalizer`.
        num_boxes (int): How many of the best classes get a box, at most n; Top-5 Loc needs 5.
        **kwargs: ``loss``, ``topk`` and ``cal_acc`` of mmpretrain's :class:`ClsHead`.
    """

    shared_map = False

    def __init__(self,
                 num_classes: int,
                 localizer: dict = dict(),
                 num_boxes: int = 5,
                 init_cfg: dict | None = None,
                 **kwargs):
        super().__init__(init_cfg=init_cfg, **kwargs)
        if num_boxes < 1:
            raise UserError(f'num_boxes must be at least 1, got {num_boxes}.')
        self.num_classes = num_classes
        self.num_boxes = min(num_boxes, num_classes)
        self.localizer = build_localizer(localizer)

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Class scores before the softmax, (B, n), and the maps; implemented by each method."""
        raise NotImplementedError(f'{type(self).__name__} lacks its method localize(feats).')

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Class scores before the softmax, shape (B, n)."""
        return self.localize(feats)[0]

    def feature_map(self, feats: tuple[Tensor], channels: int, level: int = -1) -> Tensor:
        """One of the feature maps, checked to be of shape (B, channels, h, w)."""
        features = feats[level]
        if features.ndim != 4 or features.shape[1] != channels:
            raise UserError(
                f'{type(self).__name__} needs a feature map (B, {channels}, h, w), got '
                f'{tuple(features.shape)}; set in_channels to the number of its channels, and do '
                'not pool it in the backbone or a neck.')
        return features

    def labels(self, data_samples: list[DataSample]) -> Tensor:
        """The true class of each training image, shape (B, ); each must have exactly one."""
        for sample in data_samples:
            count = sample.gt_label.numel() if 'gt_label' in sample else 0
            if count != 1:
                raise UserError(
                    f'{type(self).__name__} trains on images with one label each, but '
                    f'{image_name(sample)} has {count}; give the data set '
                    'labels, or leave the image out.')
        return torch.cat([sample.gt_label for sample in data_samples])

    def predict(self,
                feats: tuple[Tensor],
                data_samples: list[DataSample],
                ranking_scores: Tensor | None = None) -> list[DataSample]:
        """Class, score map and box of each image.

        Samples have the sizes that boxes refer to (``img_shape``, ``ori_shape``). Scores (B, n)
        from another view of the images may replace those of this view (``ranking_scores``).

        Returns:
            list[DataSample]: The same samples with ``pred_score``, ``pred_label``,
            ``top_labels`` (the ``num_boxes`` best classes), ``score_map`` (h, w), ``pred_boxes``
            (one for each of top_labels) and ``pred_box``; if labels are known, also
            ``label_map`` and ``label_box``.
        """
        scores, class_maps = self.localize(feats)
        if ranking_scores is not None:
            scores = ranking_scores
        return self.complete(data_samples, scores, class_maps)

    def complete(self,
                 data_samples: list[DataSample],
                 scores: Tensor,
                 class_maps: ClassMaps,
                 localizer: CombinationalLocalizer | None = None) -> list[DataSample]:
        """Complete samples from what :meth:`localize` returned, with any localizer.

        Scores before the softmax (B, n) rank the classes. ``None`` means the head's localizer.
        """
        localizer = self.localizer if localizer is None else localizer
        scores = scores.float()
        samples = self._get_predictions(scores, data_samples)
        classes = top_labels = rank_classes(scores)[:, :self.num_boxes]
        labelled = all('gt_label' in sample for sample in samples)
        if labelled:
            labels = torch.stack([sample.gt_label for sample in samples])
            classes = torch.cat([top_labels, labels], dim=1)
        maps = localizer.score_maps(class_maps, scores, classes).detach().float()
        boxes = localizer.boxes(maps, samples)
        _check_finite(samples, scores=scores, maps=maps)
        maps, boxes = maps.cpu(), boxes.expand(-1, classes.shape[1], -1)
        for i, sample in enumerate(samples):
            sample.set_pred_label(top_labels[i, :1])
            sample.set_data(dict(
                top_labels=top_labels[i],
                score_map=maps[i, 0],
                pred_box=boxes[i, 0],
                pred_boxes=boxes[i, :self.num_boxes]))
            if labelled:
                sample.set_data(dict(label_map=maps[i, -1], label_box=boxes[i, -1]))
        return samples


def check_head(head: WSOLHead, feats: tuple[Tensor]) -> None:
    """Check that a head does what every tool expects of it; for the tests of a method.

    Localizing gives a score and a map of each class, whichever classes are asked for at once, and
    images do not depend on those beside them; a prediction is complete, with labels or without,
    and keeps no graph; the losses are finite and reach every parameter that is to be trained, as
    distributed training needs. The features are those of at least two images; gradients of the
    head are overwritten.

    Raises:
        AssertionError: If something is missing; the message says what.
    """
    training, batch, n = head.training, len(feats[-1]), head.num_classes
    samples = [DataSample(metainfo=dict(img_shape=(32, 48), ori_shape=(64, 96)))
               for _ in range(batch)]
    classes = torch.arange(n, device=feats[-1].device).expand(batch, -1)
    head.eval()
    with torch.no_grad():
        scores, class_maps = head.localize(feats)
        assert scores.shape == (batch, n), f'scores are {tuple(scores.shape)}, not {batch, n}'
        maps = class_maps.of_classes(classes)
        assert maps.ndim == 4 and maps.shape[:2] == (batch, n), (
            f'of_classes gives {tuple(maps.shape)} in place of ({batch}, {n}, h, w)')
        assert class_maps.of_classes(classes[:, -1:]).allclose(maps[:, -1:], atol=1e-5), (
            'the map of a class depends on the classes that are asked for with it')
        weights = torch.randn(batch, n, device=maps.device, dtype=maps.dtype)
        expected = maps[:, :1] if isinstance(class_maps, SharedMap) else torch.einsum(
            'bn,bnhw->bhw', weights, maps)[:, None]
        assert class_maps.weighted_sum(weights).allclose(expected, rtol=1e-4, atol=1e-4), (
            'weighted_sum is not the sum of the weighted maps')
        alone, maps_alone = head.localize(tuple(each[:1] for each in feats))
        assert alone.allclose(scores[:1], atol=1e-5) and maps_alone.of_classes(
            classes[:1]).allclose(maps[:1], rtol=1e-4, atol=1e-5), (
            'scores or maps of an image depend on the other images of the batch')
    for labelled in False, True:
        for i, sample in enumerate(head.predict(feats, samples)):
            lacking = {'pred_score', 'pred_label', 'score_map', 'pred_box'} - {*sample.keys()}
            assert not lacking, f'the prediction lacks {", ".join(sorted(lacking))}'
            assert not sample.score_map.requires_grad, 'score_map keeps the graph'
            assert ('label_box' in sample) == labelled, 'label_box belongs to labelled images'
            sample.set_gt_label(i % n)
    head.train().zero_grad()
    losses = {key: value for key, value in head.loss(feats, samples).items() if 'loss' in key}
    assert losses and all(loss.isfinite() for loss in losses.values()), f'losses are {losses}'
    sum(losses.values()).backward()
    unreached = [name for name, parameter in head.named_parameters()
                 if parameter.requires_grad and parameter.grad is None]
    assert not unreached, f'no loss reaches {", ".join(unreached)}'
    head.train(training)


def _check_finite(samples, **tensors):
    """Raise a UserError that names the image, unless all values are finite."""
    for name, values in tensors.items():
        finite = values.flatten(1).isfinite().all(dim=1).tolist()
        if not all(finite):
            raise UserError(f'{image_name(samples[finite.index(False)])}: its {name} are not '
                            'finite; check the weights, the image, and the numerical precision.')
