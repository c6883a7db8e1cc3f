import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from cicam_mm.utils.errors import UserError

from .cam_head import CAMHead
from .erasing import check_share, keep_mask


@MODELS.register_module()
class ErasedCopy(nn.Module):
    """Appends a copy of the batch with its most active part erased, in training only.

    In EIL, x and x' = x [a < gamma max(a)] with a = mean_c x_c (:func:`keep_mask`) go through the
    same following layers, and :class:`EILHead` adds their losses. In testing, the layer does
    nothing.

    MEIL has such layers at several depths. Each of them copies and erases its whole input: after
    two, the batch holds x, x', and an erased copy of either, four times the images. MEIL's depths
    and wiring are unverified: the released code has EIL only.

    Args:
        gamma (float): Share of the maximum from which on is erased, in [0, 1]. 0.7 is that of
            EIL's release; the paper's value for each data set is unverified.
    """

    _abbr_ = 'erased_copy'

    def __init__(self, gamma: float = 0.7):
        super().__init__()
        check_share('gamma', gamma)
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        """From (B, c, h, w) to (2 B, c, h, w) in training, with the erased images last."""
        return torch.cat([x, x * keep_mask(x, self.gamma)]) if self.training else x


@MODELS.register_module()
class EILHead(CAMHead):
    """CAM's head for batches to which :class:`ErasedCopy` appended erased copies.

    The loss is the cross entropy of the unerased images plus that of their erased copies (EIL,
    CVPR 2020). Testing is the same as CAM's; there are no additional parameters.

    Args:
        erased_loss_weight (float): Weight of the loss of erased copies. 1 is the release's; the
            paper's value is unverified.
    """

    def __init__(self, num_classes: int, in_channels: int, erased_loss_weight: float = 1.,
                 **kwargs):
        super().__init__(num_classes, in_channels, **kwargs)
        self.erased_loss_weight = erased_loss_weight

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of the images, and the sum of that of their k - 1 erased copies.

        The last feature map holds k B images, first the B images of ``data_samples``. The
        accuracy is that of the unerased images.
        """
        scores = self(feats).split(len(data_samples))
        if len(scores) < 2 or len(scores[-1]) != len(data_samples):
            raise UserError(
                f'EILHead got features of {sum(map(len, scores))} images for '
                f'{len(data_samples)} labels, but in training it also needs erased copies; add '
                "plugins=[dict(cfg=dict(type='ErasedCopy'), stages=(4, ))] to the backbone.")
        unerased = self._get_loss(scores[0], data_samples, **kwargs)
        erased = [self._get_loss(each, data_samples, **kwargs)['loss'] for each in scores[1:]]
        return dict(loss_unerased=unerased.pop('loss'),
                    loss_erased=self.erased_loss_weight * sum(erased), **unerased)
