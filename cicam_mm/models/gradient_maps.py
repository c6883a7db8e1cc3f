"""Class maps of any classifier: from gradients, from masked images, or from attention.

Each method reads the activation A, (B, c, h, w), of some layers and, if it needs gradients, the
gradient G of a class score with respect to A. Negative values of a map become 0.
"""
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache

import torch
import torch.nn.functional as F
from mmpretrain.models import VGG, BaseClassifier, GlobalAveragePooling
from mmpretrain.models.heads import MultiLabelClsHead
from mmpretrain.models.utils import MultiheadAttention
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.localization import ClassMaps, SharedMap
from cicam_mm.utils.errors import UserError

from .cam_head import CAMHead
from .map_branch import stretch, upsample
from .memory_format import order_images
from .wsol_head import WSOLHead


# --- from activations and gradients ----------------------------------------------------------
def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum over the channels of mean(G) A (Grad-CAM, ICCV 2017), shape (B, h, w)."""
    return _weighted(gradients.mean(dim=(2, 3)), activations)


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ (WACV 2018): weights are sums of alpha relu(G), Eq. 19 for alpha."""
    square = gradients**2
    total = activations.sum(dim=(2, 3), keepdim=True)
    alpha = square / (2 * square + total * square * gradients + 1e-6)
    return _weighted((alpha * gradients.relu()).sum(dim=(2, 3)), activations)


def xgrad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM (BMVC 2020): weights are the means of G, weighted by A."""
    total = activations.sum(dim=(2, 3))
    return _weighted((gradients * activations).sum(dim=(2, 3)) / (total + 1e-7), activations)


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum over the channels of relu(G) A, position by position (LayerCAM, TIP 2021)."""
    return (gradients.relu() * activations).sum(dim=1)


def _weighted(weights, activations):
    return torch.einsum('bc,bchw->bhw', weights, activations)


GRADIENT_METHODS = {'gradcam': grad_cam, 'gradcam++': grad_cam_plus_plus,
                    'xgradcam': xgrad_cam, 'layercam': layer_cam}


# --- from activations alone ------------------------------------------------------------------
def eigen_cam(activations: Tensor) -> Tensor:
    """First principal component of the positions (Eigen-CAM, IJCNN 2020), shape (B, h, w).

    The mean over the positions is subtracted first. The sign is the one with which the component
    grows with the sum of the activations.
    """
    rows = activations.flatten(2).mT
    rows = rows - rows.mean(dim=1, keepdim=True)
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    first = left[..., 0] * values[:, :1]
    sign = torch.einsum('bn,bn->b', first, rows.sum(dim=2)).sign()
    return (first * sign[:, None]).unflatten(1, activations.shape[2:])


def score_cam_weights(images: Tensor, activations: Tensor, classify: Callable[[Tensor], Tensor],
                      batch_size: int = 32) -> Tensor:
    """Weight of each channel for each class (Score-CAM, CVPR workshops 2020).

    The images, multiplied by a channel that is resized to them and stretched to [0, 1], are
    classified, ``batch_size`` at a time; the weights (B, c, n) are the softmax of a class's scores
    over the channels. A constant channel hides the whole image.
    """
    scores = []
    for image, channels in zip(images, activations, strict=True):
        # all constant channels hide the whole image: one pass for them
        varied = channels.amax(dim=(1, 2)) > channels.amin(dim=(1, 2))
        masks = (stretch(F.interpolate(part[:, None], image.shape[1:], mode='bilinear',
                                       align_corners=True))
                 for part in channels[varied].split(batch_size) if len(part))
        hidden = classify(torch.zeros_like(image)[None])
        each = hidden.repeat(len(channels), 1)
        each[varied] = torch.cat([
            hidden[:0], *(classify(order_images(image * mask, 'auto')) for mask in masks)])
        scores.append(each)
    return torch.stack(scores).softmax(dim=1)


# --- from the attention of a transformer -----------------------------------------------------
def rollout(blocks: Iterable[Tensor]) -> Tensor:
    """Share of each token in the final class token, up to a factor; shape (B, N).

    Attention rollout (ACL 2020) is the first row of the product of all I + A, where A is the
    attention averaged over the heads. Gradient-weighted attention (ICCV 2021) is the same with the
    mean over the heads of relu(G A). Only that row is computed, so no matrices are multiplied.
    ``blocks`` are the A of all blocks, (B, N, N), the last block first.
    """
    row = None
    for block in blocks:
        if row is None:
            row = torch.eye(block.shape[1], dtype=block.dtype, device=block.device)[:1]
        row = row + row @ block
    return row[:, 0]


def attention_of(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor]:
    """Softmax attention (B, heads, N, N) and values (B, heads, N, d) of a block's qkv."""
    query, key, value = qkv.unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    return (query * query.shape[-1]**-0.5 @ key.mT).softmax(dim=-1), value


# --- the classifier --------------------------------------------------------------------------
def to_grid(features: Tensor, size: Sequence[int]) -> Tensor:
    """Tokens (B, N, c) or (B, c, N), or a map, channels first or last, as a map (B, c, h, w).

    The grid has the proportions of the images, ``size``. Up to five tokens in front of it, such as
    a class token, are left out where tokens come before channels.
    """
    height, width = size
    if features.ndim == 4:
        rows, columns, channels = features.shape[1:]
        last = rows * width == columns * height and columns * width != channels * height
        return features.permute(0, 3, 1, 2) if last else features
    if features.ndim == 3:
        for tokens in [*(features[:, extra:].mT for extra in range(6)), features]:  # (B, c, N)
            count = tokens.shape[2]
            rows = round((count * height / width)**0.5)
            if rows > 1 and rows * round(rows * width / height) == count:
                return tokens.unflatten(2, (rows, -1))
    raise UserError(f'features of shape {tuple(features.shape)} are neither a map nor tokens of a '
                    f'grid for images of {height} x {width}; name another layer.')


def default_target_layer(classifier: nn.Module) -> str:
    """The last layer whose map determines the class score."""
    backbone = getattr(classifier, 'backbone', None)
    layers = getattr(backbone, 'layers', ())
    if len(layers) and hasattr(layers[-1], 'ln1'):
        # after it the patch tokens no longer reach the class token
        return f'backbone.layers.{len(layers) - 1}.ln1'
    if isinstance(backbone, VGG) and backbone.num_classes > 0:
        pools = [i for i, layer in enumerate(backbone.features) if isinstance(layer, nn.MaxPool2d)]
        return f'backbone.features.{pools[-1] - 1}'
    if getattr(backbone, 'gap_before_final_norm', False):
        return f'backbone.stages.{max(backbone.out_indices)}'
    if isinstance(getattr(classifier, 'neck', None), GlobalAveragePooling) or isinstance(
            getattr(classifier, 'head', None), CAMHead):
        return 'backbone'
    raise UserError(f'the last map of {type(backbone or classifier).__name__} is in an unknown '
                    'layer; name one with --target-layers, such as backbone.layer4.')


def recorded(classifier: nn.Module, images: Tensor, outputs: Mapping[str, nn.Module],
             inputs: Mapping[str, nn.Module] = {}) -> tuple[Tensor, dict[str, Tensor]]:
    """Class scores, and outputs or inputs of some layers to differentiate the scores by.

    The graph starts at the first of these layers, if the parameters need no gradient.
    """
    seen = {}
    hooks = [layer.register_forward_hook(lambda _, args, out, name=name: _keep(seen, name, out))
             for name, layer in outputs.items()]
    hooks += [layer.register_forward_pre_hook(lambda _, args, name=name: _keep(seen, name, args))
              for name, layer in inputs.items()]
    try:
        with torch.enable_grad():
            scores = classifier(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(scores, Tensor):
        raise UserError(f'{type(classifier).__name__} gives several scores for each class.')
    for name in {**outputs, **inputs}:
        if name not in seen:
            raise UserError(f'{name} is not called as a whole when {type(classifier).__name__} '
                            'classifies; name a layer inside it.')
    return scores, seen


def _keep(seen, name, value):
    if isinstance(value, tuple) and value:
        return *value[:-1], _keep(seen, name, value[-1])
    if not isinstance(value, Tensor):
        raise UserError(f'{name} gives no map; name a layer inside it.')
    seen[name] = value if value.requires_grad else value.detach().requires_grad_()
    return seen[name].clone()  # a later layer may work in place


def gradients_of(scores: Tensor, classes: Tensor, layers: Sequence[Tensor]) -> Sequence[Tensor]:
    """Gradients of one class score of each image, shape (B, ), by one backward pass."""
    chosen = torch.zeros_like(scores).scatter(1, classes[:, None], 1)
    return torch.autograd.grad(scores, layers, chosen, retain_graph=True)


class ClassMapsOnDemand(ClassMaps):
    """Maps (B, h, w) that are computed for one class (B, ) of each image when asked for."""

    def __init__(self, map_of: Callable[[Tensor], Tensor]):
        self.map_of = map_of

    def of_classes(self, classes: Tensor) -> Tensor:
        return torch.stack([self.map_of(column) for column in classes.unbind(dim=1)], dim=1)

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The sum of all maps; those whose coefficient is 0 are not computed."""
        used = coefficients.any(dim=0).nonzero()[:, 0]
        return sum(self.map_of(each.expand(len(coefficients))) * coefficients[:, each, None, None]
                   for each in used)[:, None]


@MODELS.register_module()
class MapsOfClassifier(WSOLHead):
    """Localizes with an unchanged classifier, by one of :data:`METHODS`.

    It takes images in place of features, since most methods need another pass through the network.

    Args:
        classifier (BaseClassifier): With its weights; its parameters no longer need gradients.
        target_layers (Sequence[str]): Names of the layers whose maps count; those of several are
            stretched to [0, 1], resized to the largest and averaged. Defaults to
            :func:`default_target_layer`. Methods on attention take all blocks instead.
    """

    def __init__(self, classifier: BaseClassifier, method: str,
                 target_layers: Sequence[str] = (), **kwargs):
        if isinstance(getattr(classifier, 'head', None), MultiLabelClsHead):
            raise UserError('this is a multi-label classifier; localization needs one label for '
                            'each image.')
        super().__init__(_num_classes(classifier), **kwargs)
        self.classifier = classifier.requires_grad_(False).eval()
        self.method = method
        if method in ATTENTION_METHODS:
            if target_layers:
                raise UserError(f'{method} takes all blocks; leave target layers out.')
            self._blocks = _attention_blocks(classifier)
        else:
            target_layers = target_layers or [default_target_layer(classifier)]
            self._layers = {name: _find(classifier, name) for name in target_layers}

    def localize(self, feats: Tensor) -> tuple[Tensor, ClassMaps]:
        """Class scores, and maps on demand, of images (B, 3, H, W)."""
        if self.method in ATTENTION_METHODS:
            scores, seen = recorded(
                self.classifier, feats, {f'{name}.qkv': block.qkv for name, block in self._blocks},
                {f'{name}.proj': block.proj for name, block in self._blocks})
            maps = self._of_attention(scores, seen, feats.shape[2:])
        else:
            scores, seen = recorded(self.classifier, feats, self._layers)
            grids = [to_grid(each, feats.shape[2:]).detach() for each in seen.values()]
            if self.method == 'eigencam':
                maps = SharedMap(_join(map(eigen_cam, grids))[:, None])
            elif self.method == 'scorecam':
                maps = self._of_masked_images(feats, grids)
            else:
                maps = self._of_gradients(scores, seen, grids, feats.shape[2:])
        return scores.detach(), maps

    def _of_gradients(self, scores, seen, grids, size):
        def map_of(classes):
            gradients = gradients_of(scores, classes, [*seen.values()])
            of_grids = [to_grid(each, size) for each in gradients]
            for name, each, of_grid in zip(seen, gradients, of_grids, strict=True):
                if each.ndim == 3 and not of_grid.any():
                    raise UserError('the class score does not depend on the patch tokens of '
                                    f'{name}; name an earlier layer.')
            return _join(map(GRADIENT_METHODS[self.method], grids, of_grids))

        return ClassMapsOnDemand(map_of)

    def _of_masked_images(self, images, grids):
        @cache
        def weights():
            with torch.no_grad():
                return [score_cam_weights(images, grid, self.classifier) for grid in grids]

        def map_of(classes):
            every = torch.arange(len(classes), device=classes.device)
            return _join(_weighted(each[every, :, classes], grid)
                         for each, grid in zip(weights(), grids, strict=True))

        return ClassMapsOnDemand(map_of)

    def _of_attention(self, scores, seen, size):
        if len({seen[f'{name}.proj'].shape[1] for name, _ in self._blocks}) > 1:
            raise UserError(f'{self.method} multiplies the attention of all blocks, but those of '
                            'this classifier have different numbers of tokens; use a method on '
                            'target layers.')
        last_first = [(seen[f'{name}.qkv'].detach(), seen[f'{name}.proj'], block.num_heads)
                      for name, block in reversed(self._blocks)]

        def weighted(classes):
            gradients = gradients_of(scores, classes, [mixed for _, mixed, _ in last_first])
            for (qkv, _, heads), gradient in zip(last_first, gradients, strict=True):
                attention, value = attention_of(qkv, heads)
                # what the block mixes is attention times value
                gradient = gradient.unflatten(2, (heads, -1)).transpose(1, 2) @ value.mT
                yield (gradient * attention).relu().mean(dim=1)

        def map_of(blocks):
            return to_grid(rollout(blocks)[..., None], size)[:, 0]

        if self.method == 'rollout':
            return SharedMap(map_of(attention_of(qkv, heads)[0].mean(dim=1)
                                    for qkv, _, heads in last_first)[:, None])
        return ClassMapsOnDemand(lambda classes: map_of(weighted(classes)))


ATTENTION_METHODS = ('rollout', 'gradient-rollout')
#: All methods of :class:`MapsOfClassifier`.
METHODS = (*GRADIENT_METHODS, 'scorecam', 'eigencam', *ATTENTION_METHODS)


def _join(maps):
    """Positive parts of the maps (B, h, w) of several layers as one."""
    maps = [each.relu()[:, None] for each in maps]
    if len(maps) > 1:
        size = max((each.shape[2:] for each in maps), key=math.prod)
        maps = [upsample(stretch(each).nan_to_num(0), size) for each in maps]
    return torch.stack(maps).mean(dim=0)[:, 0]


def _num_classes(classifier):
    for part in ('head', 'backbone', 'model'):
        count = getattr(getattr(classifier, part, None), 'num_classes', None)
        if count and count > 0:
            return count
    raise UserError(f'{type(classifier).__name__} does not state its number of classes; give its '
                    'head a num_classes.')


def _find(classifier, name):
    try:
        return classifier.get_submodule(name)
    except AttributeError:
        known = [each for each, _ in classifier.named_modules() if each]
        near = get_close_matches(name, known, n=3, cutoff=0) or known[-3:]
        raise UserError(f'this {type(classifier).__name__} has no layer {name!r}; near it are '
                        f'{", ".join(near)}.') from None


def _attention_blocks(classifier):
    """Names and attention of all blocks of a transformer that reads out its class token."""
    blocks = [(name, part) for name, part in classifier.named_modules()
              if type(part) is MultiheadAttention]
    backbone = getattr(classifier, 'backbone', None)
    if not blocks or getattr(backbone, 'out_type', None) != 'cls_token':
        raise UserError(f'{type(backbone or classifier).__name__} does not classify by a class '
                        'token that attends to all patches; use a method on target layers.')
    return blocks
