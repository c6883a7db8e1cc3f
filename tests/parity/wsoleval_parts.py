"""What the tests against "Evaluating WSOL Methods Right" share: weights, networks, comparisons."""
from functools import lru_cache
from pathlib import Path

import head_parts
import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from parity_parts import VGG

from cicam_mm.evaluation.pooled_metric import judged_map

CONFIGS = Path(__file__).parents[2] / 'configs'

# The largest deviation allowed, relative to the largest value; of patterns that fit the last.
TOLERANCES = {
    '.*': 1e-4,
    '.*_loss(_parts)?': 1e-5,
    '.*_grad_norms|.*_norm_parts|.*_out_norms': 1e-3,
    '.*_grad_(x|x4|x5|conv1_1)': 2e-2,
    'adl_(relu|signed)_.*': 1e-5,
    '.*_(labels|labels_b|erased|keep|hidden|kept|box|isnan|mixed_ch0|coin_cases)': 0,
}

# Inputs, and what only informs.
INFORMATION = ('.*_names', '.*_margins?', '.*_options', '.*_lr10', '.*_delta')


def labelled(labels):
    """Data samples with these labels, of images of 224 x 224 pixels."""
    return head_parts.labelled(*map(int, labels), size=(224, 224))


def load(reference, method, layers):
    """Give layers, by the reference's names, the weights of a method: exactly these."""
    of_cam = method in ('adl', 'cutmix', 'has')
    weights = _weights(reference, 'cam' if of_cam else method, 'conv1_1' in layers)
    assert {name.rpartition('.')[0] for name in weights} == set(layers)
    for name, value in weights.items():
        layer, _, parameter = name.rpartition('.')
        getattr(layers[layer], parameter).data.copy_(torch.from_numpy(value))


@lru_cache(maxsize=1)  # a second to make
def _weights(reference, method, backbone):
    return reference.make('state', method, backbone=backbone)


def build_network(reference, config, method, head_layers, **options):
    """The network of a config with the reference's weights.

    Returns:
        tuple: The model, its layers by the reference's names, and the config.
    """
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict({'model.head.num_classes': int(reference['num_classes']),
                         'model.backbone.init_cfg': None, **options})
    model = MODELS.build(cfg.model)
    convs = [layer.conv for layer in model.backbone.features if hasattr(layer, 'conv')]
    layers = dict(zip(VGG, convs, strict=True)) | head_layers(model)
    load(reference, method, layers)
    return model, layers, cfg


def cam_layers(model):
    return {'cam.new': model.neck.conv.conv, 'cam.fc': model.head.fc}


def branch_layers(branches):
    """The three convolutions of each branch: a1, a2, a3, ..."""
    return {f'{name}{i + 1}': branch[2 * i] for name, branch in branches.items()
            for i in range(3)}


def train_step(reference, prefix, model, layers, images, samples):
    """Losses and gradients of a step without optimizer, by the reference's names."""
    model.train()
    losses = model.loss(images, samples)
    loss = sum(losses.values())
    loss.backward()
    return losses, {
        f'{prefix}_train_loss': loss.item(),
        f'{prefix}_grad_norms': grad_norms(reference, f'{prefix}_grad_names', layers),
        f'{prefix}_grad_conv1_1': layers['conv1_1'].weight.grad[::4],
    }


def grad_norms(reference, name, layers):
    """Norms of the gradients, in the order of the parameters' names in an array."""
    parameters = [each.rpartition('.')[::2] for each in reference[name]]
    return [getattr(layers[layer], parameter).grad.double().norm().item()
            for layer, parameter in parameters]


def fast_layers(cfg, model, layers):
    """The layers whose weights a config gives the highest learning rate."""
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    rates = {name: rates[id(layer.weight)] for name, layer in layers.items()}
    return sorted(name for name, rate in rates.items() if rate == max(rates.values()))


def of_labels(class_maps, labels):
    """The maps of one class of each image, (B, h, w)."""
    return class_maps.of_classes(labels[:, None])[:, 0].detach()


def of_all(class_maps, labels, num_classes=12):
    """The maps of all classes, (B, n, h, w)."""
    return class_maps.of_classes(torch.arange(num_classes).expand(len(labels), -1)).detach()


def score_maps(maps, step=8):
    """Maps (B, h, w) as they are scored at 224 x 224, every ``step``-th row and column."""
    return np.stack([judged_map(each, (224, 224))[::step, ::step]
                     for each in maps.detach().numpy()])
