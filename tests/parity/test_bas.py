"""Every array that the authors' code of BAS computed."""
from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.registry import MODELS
from parity_parts import (
    CONFIGS,
    SIZE,
    accuracies,
    box_in_crop,
    boxes_at,
    build,
    class_hits,
    learning_rates,
    load,
    named,
    of_labels,
    own_layers,
    rates_of,
    samples,
    tensor,
    vgg_layers,
)

from cicam_lite.resizing import resize
from cicam_mm.localization import BOX_RULES, build_map_rule, class_coefficients, find_boxes
from cicam_mm.localization.overlap import box_iou
from cicam_mm.models.bas import remaining_activation

CLASSES = dict(cub=200, ilsvrc=1000)
DEPTHS = dict(vgg='vgg16', resnet='resnet50')
TOLERANCES = {
    '.*': 1e-4,
    '.*_grad_(x|first_conv|loc_.*|cls3_weight)': 2e-2,
    '.*resnet_grad_first_conv': 5e-2,
    '.*(grad_norms|x_norms)': 1e-2,
    '.*_(box|top5|batches|group_names|group_sizes|k|area)': 0,
}


def config(data, kind):
    return f'bas/bas_{DEPTHS[kind]}_{data}.py'


def layers_of(head, *backbone):
    parts = *backbone, head.classifier.last_stage
    to_maps = head.classifier.to_maps
    return (vgg_layers if hasattr(parts[0], 'features') else own_layers)(*parts) | dict(
        cls1=to_maps[0], cls2=to_maps[2], cls3=to_maps[4], loc=head.generator)


class Step:
    """A forward pass of the losses, and what it computes on the way.

    ``head.loss`` runs; hooks keep the class maps of the whole and of the background.
    """

    def __init__(self, head, features, labels):
        seen = []
        hooks = [module.register_forward_hook(lambda m, a, out: seen.append(out))
                 for module in (head.classifier, head.generator)]
        losses = head.loss((features, ), samples(labels))
        for hook in hooks:
            hook.remove()
        self.maps, generated, erased = seen
        self.labels = labels
        self.fore = self.of_labels(generated.sigmoid())[:, 0]
        self.scores = self.maps.mean(dim=(2, 3))
        self.scores_fore = (self.maps * F.avg_pool2d(self.fore[:, None], 2)).mean(dim=(2, 3))
        self.S = self.of_labels(self.scores)[:, 0]
        self.S_b = self.of_labels(erased.mean(dim=(2, 3)))[:, 0]
        guidance = F.cross_entropy(self.scores_fore, labels)
        if head.guidance_weight:
            torch.testing.assert_close(
                losses['loss_guidance'], head.guidance_weight * guidance)
        self.parts = [losses['loss_cls'], guidance, losses['loss_background'],
                      losses['loss_area'] / head.area_weight]
        self.loss = sum(losses.values())

    def of_labels(self, values):
        return values[torch.arange(len(values)), self.labels][:, None]

    def values(self):
        return dict(loss_parts=[part.item() for part in self.parts], loss=self.loss.item(),
                    S=self.S, S_b=self.S_b, fore=self.fore)


def norm(gradient):
    return 0. if gradient is None else gradient.double().norm().item()


def mean_of_best(class_maps, scores, k):
    gamma = build_map_rule('topk_mean', k=k).gamma(scores.shape[1])
    return class_maps.weighted_sum(class_coefficients(scores, gamma))


def trained_part(names, head, layers, features, labels, stride):
    x = features.clone().requires_grad_()
    step = Step(head.train(), x, labels)
    tensors = [tensor(layers, name) for name in names] + [x]
    weights = [1, head.guidance_weight, 1, head.area_weight]
    total, norms = [0] * len(tensors), []
    for part, weight in zip(step.parts, weights, strict=True):
        gradients = torch.autograd.grad(part, tensors, retain_graph=True, allow_unused=True,
                                        materialize_grads=True)
        norms.append([norm(gradient) for gradient in gradients])
        total = [add + weight * gradient for add, gradient in zip(total, gradients, strict=True)]
    norms = np.array([*norms, [norm(gradient) for gradient in total]])
    total = dict(zip([*names, 'x'], total, strict=True))
    return step.values() | dict(
        labels=labels, scores=step.scores[:, ::stride], scores_fore=step.scores_fore[:, ::stride],
        scores_label=torch.stack([step.S, step.of_labels(step.scores_fore)[:, 0]]),
        class_map=step.of_labels(step.maps)[:, 0], back=1 - step.fore[:, ::4, ::4],
        loss_weights=weights, grad_norms=norms[:, :-1], grad_x_norms=norms[:, -1],
        grad_x=total['x'][:, ::features.shape[1] // 8, ::4, ::4],
        grad_loc_weight=total['loc.weight'][labels][:, ::32],
        grad_cls3_weight=total['cls3.weight'][labels][:, ::32, 0, 0])


def norm_statistics(reference, prefix, layers):
    """Running statistics of batch norms, subsampled as in the reference."""
    values = {}
    for name in reference.arrays:
        if name.startswith(prefix) and name.endswith('_batches'):
            key = name.removesuffix('_batches')
            ours = key.removeprefix(prefix)
            bn = layers[ours.replace('_', '.')]
            step = len(bn.running_mean) // len(reference[f'{key}_mean_after'])
            values |= {f'{ours}_mean_after': bn.running_mean[::step],
                       f'{ours}_var_after': bn.running_var[::step],
                       f'{ours}_batches': bn.num_batches_tracked}
    return values


@torch.no_grad()
def evaluated_part(head, features, labels):
    scores, class_maps = head.eval().localize((features, ))
    values = dict(test_map_k1=of_labels(class_maps, labels), eval_top5=scores.topk(5).indices,
                  eval_scores_label=scores[torch.arange(3), labels])
    n = scores.shape[1]
    for k in 2, 5, 80, n:
        step = 1 if k == 80 else 2
        values[f'test_map_k{k}'] = mean_of_best(class_maps, scores, k)[:, 0, ::step, ::step]
    erased = head.background_scores(features, mean_of_best(class_maps, scores, n))
    return values | dict(eval_S_b=erased[torch.arange(3), labels])


def edges(head, features, labels):
    """Generators that say always no or yes, classes that never respond, features of zero."""
    values, state = {}, deepcopy(head.state_dict())
    for edge in 'off', 'on', 'dead', 'zero':
        head.load_state_dict(state)
        head.train(edge != 'zero')
        x = torch.zeros_like(features) if edge == 'zero' else features
        with torch.no_grad():
            if edge == 'dead':
                head.classifier.to_maps[4].weight[labels] = 0
                head.classifier.to_maps[4].bias[labels] = -1
            elif edge != 'zero':
                head.generator.bias[labels] = -200 if edge == 'off' else 200
        step = Step(head, x, labels)
        found = dict(loss_parts=[part.item() for part in step.parts])
        if edge == 'dead':
            step.loss.backward()
            found['grad_finite'] = all(p.grad.isfinite().all() for p in head.parameters())
            head.zero_grad()
        else:
            found |= dict(S=step.S, S_b=step.S_b)
        if edge in ('off', 'on'):
            found['grad_loc'] = norm(torch.autograd.grad(step.loss, head.generator.weight)[0])
        if edge == 'zero':
            found['fore'] = step.fore[:, ::9, ::9]
        values |= named(f'edge_{edge}_', found)
    head.load_state_dict(state)
    return values


@pytest.mark.parametrize('kind', DEPTHS)
@pytest.mark.parametrize('data', CLASSES)
def test_components(bas_psol, data, kind):
    prefix, n = f'bas_{data}_{kind}_', CLASSES[data]
    cfg = Config.fromfile(CONFIGS / config(data, kind)).model.head
    cfg.last_stage.pop('init_cfg')
    head = MODELS.build(cfg)
    layers = layers_of(head)
    stage = dict(vgg=('vgg16', 'conv5_1'), resnet=('resnet50', 4))[kind]
    load(layers, bas_psol.make('bas_head', kind, n) | bas_psol.make(*stage))
    features, labels = bas_psol.make('bas_features', kind), bas_psol.make('bas_labels', n)
    values = evaluated_part(head, features, labels) | edges(head, features, labels)
    names = bas_psol[f'{prefix}grad_names'].tolist()
    values |= trained_part(names, head, layers, features, labels, n // 200)
    values |= norm_statistics(bas_psol, prefix, layers)
    bas_psol.compare(prefix, values, TOLERANCES, [f'{prefix}lr'])


@pytest.mark.parametrize('data, kind', [('cub', 'vgg'), ('cub', 'resnet'), ('ilsvrc', 'vgg')])
def test_whole_networks(bas_psol, data, kind):
    prefix, n = f'bas_net_{data}_{kind}_', CLASSES[data]
    model, layers, cfg = build(
        config(data, kind), lambda model: layers_of(model.head, model.backbone),
        bas_psol.make('bas_head', kind, n) | bas_psol.make(DEPTHS[kind]),
        **{'model.head.last_stage.init_cfg': None})
    images, labels = bas_psol.make('bas_images'), bas_psol.make('bas_image_labels', n)
    rows = torch.arange(2)
    with torch.no_grad():
        features, = model.eval().extract_feat(images)
        scores, class_maps = model.head.localize((features, ))
        k = averaged(cfg.model.head.localizer)
        own = of_labels(class_maps, labels)
        used = own if k == 1 else mean_of_best(class_maps, scores, k)[:, 0]
        erased = model.head.background_scores(features, own[:, None])
    values = dict(
        labels=labels, features=features[:, ::64, ::4, ::4], eval_scores=scores[:, ::n // 200],
        eval_S=scores[rows, labels], eval_S_b=erased[rows, labels], eval_fore=own,
        default_k=k, box=bas_boxes(used, bas_psol))
    if f'{prefix}eval_map' in bas_psol.arrays:
        values['eval_map'] = used

    optimizer, rates = rates_of(cfg, model, layers)
    step = Step(model.train().head, model.extract_feat(images)[0], labels)
    step.loss.backward()
    names = bas_psol[f'{prefix}grad_names'].tolist()
    first = layers[dict(vgg='conv1_1', resnet='conv1')[kind]].weight
    values |= step.values() | dict(
        grad_norms=[norm(tensor(layers, name).grad) for name in names],
        grad_first_conv=first.grad[::8], grad_loc_bias=layers['loc'].bias.grad[labels])
    groups = {rate: [name for name in names if rates[name] == rate]
              for rate in sorted(set(rates.values()))}
    if data == 'ilsvrc':
        values['group_sizes'] = [len(group) for group in groups.values()]
    else:
        options, = {(group['momentum'], group['weight_decay'], group['nesterov'])
                    for group in optimizer.param_groups}
        assert ['; '.join(group) for group in groups.values()] == bas_psol[
            f'{prefix}group_names'].tolist()
        values |= dict(group_lr=[*groups], options=options, train_scores=step.scores,
                       train_scores_fore=step.scores_fore)
    optimizer.step()
    if data == 'cub':
        values |= dict(first_conv_after=first[::8], loc_bias_after=layers['loc'].bias[::8],
                       cls3_bias_after=layers['cls3'].bias[::8])
    values |= norm_statistics(bas_psol, prefix, layers)
    bas_psol.compare(prefix, values, TOLERANCES)


def averaged(localizer):
    """How many maps a localizer averages."""
    rule = localizer.get('map_rule')
    return rule.k if isinstance(rule, dict) else 1


def bas_boxes(maps, reference):
    return boxes_at(maps, [(BOX_RULES['bas'], theta)
                           for theta in reference.constant('BAS_THRESHOLDS')])


@pytest.mark.parametrize('data', CLASSES)
def test_schedule(bas_psol, data):
    cfg = Config.fromfile(CONFIGS / config(data, 'vgg'))
    rates = learning_rates(cfg.param_scheduler, cfg.train_cfg.max_epochs)
    bas_psol.check({f'bas_{data}_lr': 1e-3 * rates[:, None] * [1, 2, 10, 20]}, TOLERANCES)


def test_loss_of_given_activations(bas_psol):
    values = {}
    whole, left, fore = map(torch.from_numpy, bas_psol.make('bas_loss_case'))
    for kind, weight in ('vgg', .7), ('resnet', 1.2):
        left.requires_grad_().grad = None
        fore.requires_grad_().grad = None
        losses = remaining_activation(left, whole) + weight * fore.mean(dim=(1, 2, 3))
        losses.sum().backward()
        batch = remaining_activation(left[:6], whole[:6]).mean() + weight * fore[:6].mean()
        values |= {kind: losses, f'{kind}_batch': batch,
                   f'{kind}_grad_fore': fore.grad[:, 0, 0, 0], 'grad_S_b': left.grad}
    bas_psol.compare('bas_loss_', values, TOLERANCES)


def test_box_rule(bas_psol):
    maps = bas_psol.make('box_maps')
    resized = resize(np.asarray(maps), SIZE, 'stretched')
    areas = [[_largest_area(each > theta) for theta in bas_psol.constant('BAS_THRESHOLDS')]
             for each in resized]
    bas_psol.compare('bas_box', {
        '': bas_boxes(maps, bas_psol), '_map224': resized[[0, 4], ::8, ::8], '_area': areas,
    }, TOLERANCES)


def _largest_area(foreground):
    stats = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)[2]
    return max(stats[1:, cv2.CC_STAT_AREA], default=0)


@pytest.mark.parametrize('data', CLASSES)
def test_protocol(bas_psol, data):
    """Boxes outside the crop turn inside out there and are cut to nothing here: never hits."""
    prefix = f'bas_eval_{data}_'
    items = bas_psol.make('protocol', data, CLASSES[data])
    localizer = Config.fromfile(CONFIGS / config(data, 'vgg')).model.head.localizer
    ious, valid = [], []
    for item in items:
        box = find_boxes(item['map'][None], BOX_RULES['bas'], localizer.theta, SIZE)
        truths = np.array([box_in_crop(truth, item['size']) for truth in item['boxes']])
        valid.append((truths[:, :2] <= truths[:, 2:]).all())
        ious.append(box_iou(box, truths).max())
    ious, valid = np.array(ious), np.array(valid)
    np.testing.assert_array_equal(ious > .5, bas_psol[f'{prefix}iou'] > .5)
    tops = class_hits(items, 'logits')
    values = dict(iou=ious, iou_top1=ious * tops[0], iou_top5=ious * tops[1])
    for name, value in values.items():
        np.testing.assert_allclose(value[valid], bas_psol[f'{prefix}{name}'][valid], atol=1e-5)
    hits = [values[name] > .5 for name in ('iou_top1', 'iou_top5', 'iou')]
    accuracy, over_images = accuracies(hits, items)
    bas_psol.compare(prefix, dict(
        accuracy=accuracy, accuracy_over_images=over_images, k=[averaged(localizer)],
        threshold=localizer.theta, gt_in_crop=[
            box_in_crop(item['boxes'][0], item['size']) for item in items[:60]]),
        TOLERANCES, [f'{prefix}iou(_top.)?'])
