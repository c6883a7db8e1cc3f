from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.errors import UserError

from .cam_head import CAMHead


@MODELS.register_module()
class EILHead(CAMHead):
    """CAM's head for batches that :class:`ErasedCopy` has added erased images to.

    The loss is the cross entropy of the images as they are plus that of their erased copies
    (EIL, CVPR 2020). Scores and maps in testing are CAM's; there are no further parameters.

    Args:
        num_classes (int): n.
        in_channels (int): c, channels of the last feature map.
        erased_loss_weight (float): Weight of the erased images' loss. Defaults to 1, as
            released; the paper's value is unverified.
        **kwargs: See :class:`CAMHead`.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 erased_loss_weight: float = 1.,
                 **kwargs):
        super().__init__(num_classes, in_channels, **kwargs)
        self.erased_loss_weight = erased_loss_weight

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of the images and of their erased copies.

        Args:
            feats (tuple[Tensor]): Feature maps; the last is of k B images, the B of
                ``data_samples`` first, their erased copies behind.
            data_samples (list[DataSample]): With ``gt_label``.

        Returns:
            dict: ``loss_unerased``, and ``loss_erased``, the sum over all k - 1 copies; with
            ``cal_acc`` also the accuracy on unerased images.

        Raises:
            UserError: If there are no copies.
        """
        scores = self(feats).split(len(data_samples))
        if len(scores) < 2 or len(scores[-1]) != len(data_samples):
            raise UserError(
                f'EILHead got features of {sum(map(len, scores))} images for '
                f'{len(data_samples)} labels: in training it needs their erased copies, too; add '
                "plugins=[dict(cfg=dict(type='ErasedCopy'), stages=(4, ))] to the backbone.")
        unerased = self._get_loss(scores[0], data_samples, **kwargs)
        erased = [self._get_loss(each, data_samples, **kwargs)['loss'] for each in scores[1:]]
        return dict(loss_unerased=unerased.pop('loss'),
                    loss_erased=self.erased_loss_weight * sum(erased), **unerased)
