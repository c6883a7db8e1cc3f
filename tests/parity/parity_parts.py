"""What comparisons with other codes share: networks with their weights, steps, rates, boxes."""
import re
from pathlib import Path

import head_parts
import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS, PARAM_SCHEDULERS

from cicam_mm.localization import CombinationalLocalizer, find_boxes

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = (224, 224)
# The convolutions of VGG16.
VGG = [f'conv{stage}_{layer}' for stage, layers in enumerate((2, 2, 3, 3, 3), 1)
       for layer in range(1, layers + 1)]
# The map rules of CI-CAM's release.
RULES = dict(linear='linear', quadratic='quadratic', sum_1='weighted_mean', mean='mean')


def samples(labels):
    """Data samples with these labels, of images of 224 x 224 pixels."""
    return head_parts.labelled(*map(int, labels), size=SIZE)


def named(prefix, values):
    return {prefix + name: value for name, value in values.items()}


# --- networks: their layers go by the reference's names ------------------------------------------
def build(config, layers_of, state, **options):
    """The model of a config with the reference's weights, its layers, and the config.

    ``layers_of`` gives the layers of a model by the reference's names.
    """
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict({'model.backbone.init_cfg': None, **options})
    model = MODELS.build(cfg.model)
    layers = layers_of(model)
    load(layers, state)
    return model, layers, cfg


def load(layers, state):
    """Give layers the reference's weights: exactly these."""
    names = {f'{layer}.{name}' for layer, module in layers.items() for name in module.state_dict()}
    assert state.keys() == {name for name in names if not name.endswith('num_batches_tracked')}
    for name, value in state.items():
        tensor(layers, name).data.copy_(torch.from_numpy(value))


def tensor(layers, name):
    """The parameter or buffer that has this name in the reference."""
    layer, _, parameter = name.rpartition('.')
    return getattr(layers[layer], parameter)


def vgg_layers(*parts):
    """The convolutions of a VGG16, which may be in several parts."""
    convolutions = [layer.conv for part in parts for layer in part.features
                    if hasattr(layer, 'conv')]
    return dict(zip(VGG[-len(convolutions):], convolutions, strict=True))


def own_layers(*parts):
    """The layers that bear the names of the reference."""
    return {name: module for part in parts for name, module in part.named_modules()
            if any(True for _ in module.parameters(recurse=False))}


# --- training ------------------------------------------------------------------------------------
def train_step(reference, prefix, model, layers, images, labelled):
    """Losses and gradients of a step without an optimizer."""
    losses = model.train().loss(images, labelled)
    loss = sum(losses.values())
    loss.backward()
    return dict(train_loss=loss.item(), **gradients(reference, prefix, layers)), losses


def gradients(reference, prefix, layers, step=4):
    """Norms of all gradients, and some of the first layer's."""
    return dict(grad_norms=grad_norms(layers, reference[f'{prefix}grad_names']),
                grad_conv1_1=layers['conv1_1'].weight.grad[::step])


def grad_norms(layers, names):
    return [tensor(layers, name).grad.double().norm().item() for name in names.tolist()]


def rates_of(cfg, model, layers):
    """The optimizer of a config, and the rate of each parameter by the reference's name."""
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
    return optimizer, {f'{layer}.{name}': rates[id(p)] for layer, module in layers.items()
                       for name, p in module.named_parameters(recurse=False)}


def learning_rates(schedulers, epochs, lr=1.):
    """The rate of each epoch, shape (epochs, )."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    schedulers = [PARAM_SCHEDULERS.build(each, default_args=dict(optimizer=optimizer))
                  for each in schedulers]
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for each in schedulers:
            each.step()
    return np.array(rates)


# --- maps and boxes ------------------------------------------------------------------------------
def of_labels(class_maps, labels):
    """The maps of one class of each image, (B, h, w)."""
    return class_maps.of_classes(labels[:, None])[:, 0].detach()


def of_all(class_maps, batch, num_classes=12):
    """The maps of all classes, (B, n, h, w)."""
    return class_maps.of_classes(torch.arange(num_classes).expand(batch, -1)).detach()


def boxes_at(maps, rules, ori_shape=None):
    """Boxes (k, T, 4) of maps (k, h, w) by each (rule, theta)."""
    return np.stack([find_boxes(np.asarray(maps), rule, theta, SIZE, ori_shape)
                     for rule, theta in rules], axis=1)


# --- CI-CAM's release ----------------------------------------------------------------------------
def convert(reference, writer, run_tool, folder):
    """The released files of the reference's seed, converted by the command line."""
    reference.constant(writer)(folder, reference.seed, int(reference['num_classes']))
    (net, ), (pool, ) = folder.glob('net_*.pth'), folder.glob('mask_*.pth')
    out = folder / 'converted.pth'
    run_tool('convert_release.py', net, '--pool', pool, out)
    return out


# Names of maps and boxes: what they are of, map rule, number of lowest maps, theta.
LOCALIZED = (r'(?P<of>\w+_|)(?P<kind>map|box)_(?P<branch>initial_|)'
             r'(?P<rule>quadratic|linear|mean|sum_1|top1cam|gtcam)'
             r'(_(?P<m>\d+))?(_(?P<theta>\d\.\d))?')


def localized(names, of=''):
    """Those of the names that stand for maps or boxes, as matches of ``LOCALIZED``."""
    found = filter(None, (re.fullmatch(LOCALIZED, name) for name in names))
    return [match for match in found if match['of'] == of]


def localize(found, class_maps, scores, labelled, classes=None):
    """The maps or boxes that the release has by a name, a match of ``LOCALIZED``."""
    localizer = CombinationalLocalizer(
        RULES.get(found['rule'], 'top1'), theta=float(found['theta'] or 0),
        num_lowest=int(found['m'] or 5), frame='input')
    maps = localizer.score_maps(class_maps, scores, classes)
    values = maps if found['kind'] == 'map' else localizer.boxes(maps, labelled)
    return values if found['rule'] == 'top1cam' and classes.shape[1] > 1 else values[:, 0]


# --- the test protocol of BAS and PSOL: the central 224 of 256 x 256, accuracies by class -------
def box_in_crop(box, size):
    """A box x0, y0, x1, y1 of an image of (width, height) in the crop, cut at its borders."""
    x0, y0, x1, y1 = np.asarray(box) * 256 / np.array([*size, *size]) - 16
    return np.array([max(x0, 0), max(y0, 0), min(x1, 224), min(y1, 224)])


def class_hits(items, key):
    """Whether the label is the best class, and whether among the best five, by mean softmax."""
    scores = torch.from_numpy(np.stack([np.atleast_2d(item[key]) for item in items]))
    best = scores.softmax(dim=2).mean(dim=1).topk(5).indices
    right = (best == torch.tensor([item['label'] for item in items])[:, None]).numpy()
    return right[:, 0], right.any(axis=1)


def accuracies(hits, items):
    """The mean over classes of each class's share of hits, and the share over images."""
    labels = np.array([item['label'] for item in items])
    by_class = [[hit[labels == label].mean() for label in np.unique(labels)] for hit in hits]
    return np.mean(by_class, axis=1), np.mean(hits, axis=1)
