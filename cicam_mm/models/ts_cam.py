"""TS-CAM: token semantic coupled attention map (ICCV 2021)."""
import torch
from mmpretrain.models import VisionTransformer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.localization import ClassMaps, DenseClassMaps

from .wsol_head import WSOLHead


@MODELS.register_module()
class TokenAttentionViT(VisionTransformer):
    """MMPretrain's vision transformer, which also returns the attention of its class token.

    It returns the map of the patch tokens after the final norm, shape (B, c, h, w), and the
    attention A of the class token to the patches, shape (B, 1, h, w): the softmax weights of every
    block, averaged over the heads and summed over the blocks. The class token's attention to
    itself is left out, so the sum of A over the patches is below the number of blocks.

    A is summed while the blocks run, from the class token's query alone; no block keeps its
    weights, and MMPretrain's fused attention stays as it is.
    """

    def __init__(self, **kwargs):
        super().__init__(out_type='featmap', with_cls_token=True, **kwargs)
        for layer in self.layers:
            layer.attn.qkv.register_forward_hook(self._attend)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Patch tokens and attention of images (B, 3, H, W)."""
        self._attention = 0.
        features, = super().forward(images)
        attention, self._attention = self._attention, None
        return features, attention[:, None, 1:].unflatten(2, features.shape[2:])

    def _attend(self, qkv_layer, inputs, qkv):
        weights = class_token_attention(qkv, self.arch_settings['num_heads'])
        self._attention = self._attention + weights.mean(dim=1)


def class_token_attention(qkv: Tensor, num_heads: int) -> Tensor:
    """Softmax attention of the first token to all tokens, in float32 or better.

    From the queries, keys and values of N tokens, head after head, (B, N, 3 c), to (B, heads, N).
    """
    query, key, _ = qkv.unflatten(2, (3, num_heads, -1)).unbind(2)
    scores = torch.einsum('bhd,bnhd->bhn', query[:, 0] * query.shape[-1]**-0.5, key)
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


@MODELS.register_module()
class TSCAMHead(WSOLHead):
    """TS-CAM: semantic maps of the patch tokens, weighted by the class token's attention.

    A 3x3 convolution of the patch tokens gives a semantic map S of each class, whose mean is the
    class score, in training and in testing. The map of class c is A S_c, bias included. Attention
    takes no part in the loss, a plain cross entropy.

    Args:
        in_channels (int): c, the width of the transformer, a :class:`TokenAttentionViT`.
        localizer (dict): theta 0.1 is that of the release for CUB; it is 0.12 for ILSVRC.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 localizer: dict = dict(map_rule='top1', box_rule='ts_cam', theta=0.1),
                 **kwargs):
        super().__init__(num_classes, localizer, **kwargs)
        self.in_channels = in_channels
        self.semantic = nn.Conv2d(in_channels, num_classes, 3, padding=1)

    def semantic_maps(self, feats: tuple[Tensor]) -> Tensor:
        """S, shape (B, n, h, w)."""
        return self.semantic(self.feature_map(feats, self.in_channels, level=0))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Mean of S, and A S."""
        semantic = self.semantic_maps(feats)
        return semantic.mean(dim=(2, 3)), DenseClassMaps(feats[1] * semantic)
