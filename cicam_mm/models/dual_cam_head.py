import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization.class_maps import ClassMaps, LinearClassMaps

from .cam_head import CAMHead


@MODELS.register_module()
class DualCAMHead(CAMHead):
    """The two CAM branches of CI-CAM with the causal context pool between them.

    Branch 1 classifies X; its prediction pi selects the context that turns X into X^e (Eq. 8).
    Branch 2 classifies X^e with the same classifier and gives the prediction. The loss is the sum
    of both cross entropies (Eq. 9).

    Args:
        pool (dict, optional): Config of the :class:`CausalContextPool`, without ``num_classes``
            and ``channels``; None means X^e = X, the paper's ablation "TwoC".
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 pool: dict | None = dict(),
                 localizer: dict = dict(),
                 **kwargs):
        super().__init__(num_classes, in_channels, localizer=localizer, **kwargs)
        self.pool = None if pool is None else MODELS.build(pool, default_args=dict(
            type='CausalContextPool', num_classes=num_classes, channels=in_channels))

    def branches(self, features: Tensor,
                 labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Branch 1's scores S, shape (B, n), and the features X^e of branch 2 (Eq. 8).

        With the ``labels`` (B, ) of training images, maps of branch 1 are recorded for the pool.
        """
        scores = self.classify(features)
        if self.pool is None:
            return scores, features
        classes = scores.argmax(dim=1)
        if labels is not None:
            self._feed_pool(features, classes, labels)
        return scores, self.pool.enhance(features, classes)

    def both_branches(self, feats: tuple[Tensor],
                      labels: Tensor | None = None) -> tuple[Tensor, Tensor, LinearClassMaps]:
        """Scores S of branch 1, scores S^e and CAMs of branch 2; see :meth:`branches`."""
        initial, enhanced = self.branches(self.pre_logits(feats), labels)
        return initial, self.classify(enhanced), LinearClassMaps(enhanced, self.fc.weight)

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Branch 2: scores S^e and CAMs of X^e (Eq. 8)."""
        return self.both_branches(feats)[1:]

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """The terms of Eq. 9, of branch 1 and 2; records this step's contribution to the pool."""
        labels = None if self.pool is None else self.labels(data_samples)
        initial, scores, _ = self.both_branches(feats, labels)
        enhanced = self._get_loss(scores, data_samples, **kwargs)
        return dict(loss_initial=self._get_loss(initial, data_samples, **kwargs)['loss'],
                    loss_enhanced=enhanced.pop('loss'), **enhanced)

    @torch.no_grad()
    def _feed_pool(self, features, classes, labels):
        with torch.autocast(features.device.type, enabled=False):
            weight = self.fc.weight
            maps = LinearClassMaps(features.to(weight), weight).of_classes(classes[:, None])
            self.pool.record(maps[:, 0], classes, labels)
