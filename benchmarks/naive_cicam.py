"""CI-CAM exactly as in the paper: plain torch, full tensors, no algebraic shortcuts.

Tests and the benchmark compare with it. The functions use the weights of a model of this package,
and nothing else of it.
"""
from itertools import chain

import torch
import torch.nn.functional as F


def features(backbone, images):
    """X of a NonLocalVGG with LeakyReLU(0.2), without norms among its convolutions."""
    x = images
    for container, key in chain(*backbone._steps):
        layer = getattr(backbone, container)._modules[key]
        if container == 'non_local':
            x = non_local(layer, x)
        elif hasattr(layer, 'conv'):
            x = F.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1)
            x = F.leaky_relu(x, 0.2)
        else:
            x = F.max_pool2d(x, 2)
    return x


def non_local(block, x):
    """y = x + BN(W(softmax(q k^T) v)) with all N x N weights at once."""
    query, key, value = (
        F.conv2d(x, conv.weight, conv.bias).flatten(2)
        for conv in (block.query, block.key, block.value))
    weights = torch.softmax(torch.einsum('bdn,bdm->bnm', query, key), dim=2)
    attended = torch.einsum('bcm,bnm->bcn', value, weights).reshape(x.shape)
    return x + block.norm(F.conv2d(attended, block.mix.weight, block.mix.bias))


def all_maps(x, weight):
    """Eq. 1 for every class: (B, n, h, w)."""
    return torch.einsum('bchw,nc->bnhw', x, weight)


def scores(head, x):
    return F.linear(x.mean(dim=(2, 3)), head.fc.weight, head.fc.bias)


def enhance(pool, x, classes):
    """Eq. 8 as a convolution of the n-channel context, in which all channels but one are zero."""
    context = x.new_zeros(len(x), pool.num_classes, *x.shape[2:])
    for image, label in enumerate(classes):
        context[image, label] = pool.pool[label]
    return x + x * F.conv2d(context, pool.projection.weight, pool.projection.bias)


def losses(model, images, labels):
    """The two terms of Eq. 9, and M_pi with pi for each image."""
    x = features(model.backbone, images)
    first = scores(model.head, x)
    classes = first.argmax(dim=1)
    second = scores(model.head, enhance(model.head.pool, x, classes))
    with torch.no_grad():
        maps = all_maps(x, model.head.fc.weight)
    maps = torch.stack([m[c] for m, c in zip(maps, classes, strict=True)])
    return F.cross_entropy(first, labels), F.cross_entropy(second, labels), maps, classes


def standardized(row, eps=1e-5):
    return (row - row.mean()) / torch.sqrt(row.var(correction=0) + eps)


@torch.no_grad()
def updated_pool(pool, maps, classes, labels, update_rate):
    """Eq. 7 as in the release, class by class: correct images only, all rows renormalized."""
    rows = []
    for label, row in enumerate(pool):
        fed = [m for m, c, y in zip(maps, classes, labels, strict=True) if c == y == label]
        total = sum(fed, torch.zeros_like(row))
        rows.append(standardized(row + update_rate * standardized(total)))
    return torch.stack(rows)


def combined_map(x, weight, ranking_scores, gamma):
    """Eq. 2 and 3 for one image: sort the class maps, weight, sum, subtract the minimum.

    Shapes: x (c, h, w), weight (n, c), ranking_scores (n, ), gamma (n, ); returns (h, w).
    """
    ranked = all_maps(x[None], weight)[0][ranking_scores.argsort(descending=True, stable=True)]
    total = sum(g * m for g, m in zip(gamma, ranked, strict=True))
    return total - total.min()
