"""Every array that the authors' code of BAS computed."""
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from crop_protocol import accuracies, box_in_crop, class_hits
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from parity_parts import SIZE, VGG, arrays, boxes_at, learning_rates, load, samples

from cicam_lite.resizing import stretched
from cicam_mm.localization import BOX_RULES, build_map_rule, class_coefficients, find_boxes
from cicam_mm.localization.overlap import box_iou
from cicam_mm.models.bas import remaining_activation

CONFIGS = Path(__file__).parents[2] / 'configs' / 'bas'
CLASSES = dict(cub=200, ilsvrc=1000)
DEPTHS = dict(vgg='vgg16', resnet='resnet50')
TOLERANCES = {
    '.*': 1e-4,
    '.*_grad_(x|first_conv|loc_.*|cls3_weight)': 2e-2,
    '.*resnet_grad_first_conv': 5e-2,
    '.*(grad_norms|x_norms)': 1e-2,
    '.*_(box|top5|batches|group_names|group_sizes|k|area)': 0,
}


def own_name(name):
    """The parameter of a model that has this name in the reference."""
    module, _, parameter = name.rpartition('.')
    if module in VGG:
        part = 'head.classifier.last_stage' if module.startswith('conv5') else 'backbone'
        return f'{part}.features.{VGG[module]}.conv.{parameter}'
    if module.startswith(('cls', 'loc')):
        own = dict(cls1='classifier.to_maps.0', cls2='classifier.to_maps.2',
                   cls3='classifier.to_maps.4', loc='generator')[module]
        return f'head.{own}.{parameter}'
    part = 'head.classifier.last_stage' if module.startswith('layer4') else 'backbone'
    return f'{part}.{name}'


def config(data, kind):
    cfg = Config.fromfile(CONFIGS / f'bas_{DEPTHS[kind]}_{data}.py')
    cfg.model.backbone.pop('init_cfg')
    cfg.model.head.last_stage.pop('init_cfg')
    return cfg


class Step:
    """A forward pass of the losses, and what it computes on the way.

    ``head.loss`` runs; hooks keep the class maps of the whole and of the background.
    """

    def __init__(self, head, features, labels):
        self.head, self.labels = head, labels
        seen = []
        hooks = [head.classifier.register_forward_hook(lambda m, a, out: seen.append(out)),
                 head.generator.register_forward_hook(lambda m, a, out: seen.append(out))]
        self.losses = head.loss((features, ), samples(labels))
        for hook in hooks:
            hook.remove()
        self.maps, generated, erased = seen
        self.fore = self.of_labels(generated.sigmoid())[:, 0]
        self.scores = self.maps.mean(dim=(2, 3))
        self.scores_fore = (self.maps * F.avg_pool2d(self.fore[:, None], 2)).mean(dim=(2, 3))
        self.S = self.of_labels(self.scores)[:, 0]
        self.S_b = self.of_labels(erased.mean(dim=(2, 3)))[:, 0]

    def of_labels(self, values):
        return values[torch.arange(len(values)), self.labels][:, None]

    @property
    def parts(self):
        guidance = F.cross_entropy(self.scores_fore, self.labels)
        if self.head.guidance_weight:
            torch.testing.assert_close(
                self.losses['loss_guidance'], self.head.guidance_weight * guidance)
        return [self.losses['loss_cls'], guidance, self.losses['loss_background'],
                self.losses['loss_area'] / self.head.area_weight]

    @property
    def loss(self):
        return sum(self.losses.values())


def norm(gradient):
    return 0. if gradient is None else gradient.double().norm().item()


def averaged(localizer):
    """How many maps a localizer averages."""
    rule = localizer.get('map_rule')
    return rule.k if isinstance(rule, dict) else 1


def mean_of_best(class_maps, scores, k):
    gamma = build_map_rule('topk_mean', k=k).gamma(scores.shape[1])
    return class_maps.weighted_sum(class_coefficients(scores, gamma))


def trained_part(reference, prefix, head, features, labels, stride):
    x = features.clone().requires_grad_()
    step = Step(head.train(), x, labels)
    names = reference[f'{prefix}grad_names'].tolist()
    parameters = dict(head.named_parameters())
    tensors = [parameters[own_name(name).removeprefix('head.')] for name in names] + [x]
    weights = [1, head.guidance_weight, 1, head.area_weight]
    total, norms = [0] * len(tensors), []
    for part, weight in zip(step.parts, weights, strict=True):
        gradients = torch.autograd.grad(part, tensors, retain_graph=True, allow_unused=True,
                                        materialize_grads=True)
        norms.append([norm(gradient) for gradient in gradients])
        total = [add + weight * gradient for add, gradient in zip(total, gradients, strict=True)]
    norms = np.array([*norms, [norm(gradient) for gradient in total]])
    total = dict(zip([*names, 'x'], total, strict=True))
    return dict(
        labels=labels, scores=step.scores[:, ::stride], scores_fore=step.scores_fore[:, ::stride],
        scores_label=torch.stack([step.S, step.of_labels(step.scores_fore)[:, 0]]),
        class_map=step.of_labels(step.maps)[:, 0], fore=step.fore,
        back=1 - step.fore[:, ::4, ::4], S=step.S, S_b=step.S_b,
        loss_parts=[part.item() for part in step.parts], loss=step.loss.item(),
        loss_weights=weights,
        grad_norms=norms[:, :-1], grad_x_norms=norms[:, -1],
        grad_x=total['x'][:, ::features.shape[1] // 8, ::4, ::4],
        grad_loc_weight=total['loc.weight'][labels][:, ::32],
        grad_cls3_weight=total['cls3.weight'][labels][:, ::32, 0, 0])


def norm_statistics(reference, prefix, modules):
    """Running statistics of batch norms by the reference's names, subsampled as there."""
    values = {}
    for name in reference.arrays:
        if name.startswith(prefix) and name.endswith('_batches'):
            key = name.removesuffix('_batches')
            module = key.removeprefix(prefix).replace('_', '.')
            bn = modules[own_name(f'{module}.').rstrip('.')]
            step = len(bn.running_mean) // len(reference[f'{key}_mean_after'])
            values |= {f'{key}_mean_after': bn.running_mean[::step],
                       f'{key}_var_after': bn.running_var[::step],
                       name: bn.num_batches_tracked}
    return values


@torch.no_grad()
def evaluated_part(reference, prefix, head, features, labels):
    scores, class_maps = head.eval().localize((features, ))
    own = class_maps.of_classes(labels[:, None])[:, 0]
    values = dict(test_map_k1=own, eval_scores_label=scores[torch.arange(3), labels],
                  eval_top5=scores.topk(5).indices)
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
        values[f'edge_{edge}_loss_parts'] = [part.item() for part in step.parts]
        if edge == 'dead':
            step.loss.backward()
            values['edge_dead_grad_finite'] = all(
                p.grad.isfinite().all() for p in head.parameters())
            head.zero_grad()
        else:
            values |= {f'edge_{edge}_S': step.S, f'edge_{edge}_S_b': step.S_b}
        if edge in ('off', 'on'):
            values[f'edge_{edge}_grad_loc'] = norm(
                torch.autograd.grad(step.loss, head.generator.weight)[0])
        if edge == 'zero':
            values['edge_zero_fore'] = step.fore[:, ::9, ::9]
    head.load_state_dict(state)
    return values


@pytest.mark.parametrize('kind', DEPTHS)
@pytest.mark.parametrize('data', CLASSES)
def test_components(bas_psol, data, kind):
    prefix, n = f'bas_{data}_{kind}_', CLASSES[data]
    head = MODELS.build(config(data, kind).model.head)
    stage = dict(vgg=('vgg16', 'conv5_1'), resnet=('resnet50', 4))[kind]
    load(head, bas_psol.make('bas_head', kind, n) | bas_psol.make(*stage), own_name, 'head.')
    features, labels = bas_psol.make('bas_features', kind), bas_psol.make('bas_labels', n)
    values = arrays(prefix, evaluated_part(bas_psol, prefix, head, features, labels))
    values |= arrays(prefix, edges(head, features, labels))
    trained = trained_part(bas_psol, prefix, head, features, labels, n // 200)
    modules = {f'head.{name}': module for name, module in head.named_modules()}
    values |= arrays(prefix, trained) | arrays('', norm_statistics(bas_psol, prefix, modules))
    norms = values[f'{prefix}grad_norms']
    frozen = np.array([name.startswith(('conv5', 'layer4', 'cls'))
                       for name in bas_psol[f'{prefix}grad_names'].tolist()])
    assert not norms[2:4, frozen].any() and not norms[0, ~frozen].any()
    bas_psol.compare(prefix, values, TOLERANCES, ['.*_grad_names', f'{prefix}lr'])


@pytest.mark.parametrize('data, kind', [('cub', 'vgg'), ('cub', 'resnet'), ('ilsvrc', 'vgg')])
def test_whole_networks(bas_psol, data, kind):
    prefix, n = f'bas_net_{data}_{kind}_', CLASSES[data]
    cfg = config(data, kind)
    model = MODELS.build(cfg.model)
    load(model, bas_psol.make('bas_head', kind, n) | bas_psol.make(
        dict(vgg='vgg16', resnet='resnet50')[kind]), own_name)
    images = bas_psol.make('bas_images')
    labels = bas_psol.make('bas_image_labels', n)
    values = dict(labels=labels)
    with torch.no_grad():
        features, = model.eval().extract_feat(images)
        scores, class_maps = model.head.localize((features, ))
        k = averaged(cfg.model.head.localizer)
        own = class_maps.of_classes(labels[:, None])
        used = own if k == 1 else mean_of_best(class_maps, scores, k)
        erased = model.head.background_scores(features, own)
    rows = torch.arange(2)
    values |= dict(
        features=features[:, ::64, ::4, ::4], eval_scores=scores[:, ::n // 200],
        eval_S=scores[rows, labels], eval_S_b=erased[rows, labels], eval_fore=own[:, 0],
        default_k=k, box=boxes_of(used[:, 0], bas_psol))
    if f'{prefix}eval_map' in bas_psol.arrays:
        values['eval_map'] = used[:, 0]

    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    step = Step(model.train().head, model.extract_feat(images)[0], labels)
    step.loss.backward()
    parameters = dict(model.named_parameters())
    gradients = [parameters[own_name(name)].grad
                 for name in bas_psol[f'{prefix}grad_names'].tolist()]
    first = dict(vgg='conv1_1.weight', resnet='conv1.weight')[kind]
    values |= dict(
        loss_parts=[part.item() for part in step.parts], loss=step.loss.item(), S=step.S,
        S_b=step.S_b, fore=step.fore, grad_norms=[norm(gradient) for gradient in gradients],
        grad_first_conv=parameters[own_name(first)].grad[::8],
        grad_loc_bias=model.head.generator.bias.grad[labels])
    values |= optimizer(bas_psol, prefix, wrapper, parameters, data)
    if data == 'cub':
        values |= dict(
            train_scores=step.scores, train_scores_fore=step.scores_fore)
    wrapper.optimizer.step()
    if data == 'cub':
        values |= dict(
            first_conv_after=parameters[own_name(first)][::8],
            loc_bias_after=model.head.generator.bias[::8],
            cls3_bias_after=model.head.classifier.to_maps[4].bias[::8])
    values = arrays(prefix, values) | arrays(
        '', norm_statistics(bas_psol, prefix, dict(model.named_modules())))
    names = values.pop(f'{prefix}group_names', None)
    if names is not None:
        assert names.tolist() == bas_psol[f'{prefix}group_names'].tolist()
    bas_psol.compare(prefix, values, TOLERANCES, ['.*_names'])


def optimizer(reference, prefix, wrapper, parameters, data):
    """Learning rates and the parameters that have them, in the reference's names and order."""
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    groups = {rate: [] for rate in sorted(set(rates.values()))}
    for name in reference[f'{prefix}grad_names'].tolist():
        groups[rates[id(parameters[own_name(name)])]].append(name)
    if data == 'ilsvrc':
        return dict(group_sizes=[len(names) for names in groups.values()])
    group, = {(group['momentum'], group['weight_decay'], group['nesterov'])
              for group in wrapper.param_groups}
    return dict(group_lr=[*groups], options=group,
                group_names=['; '.join(names) for names in groups.values()])


def boxes_of(maps, reference):
    return boxes_at(maps, [(BOX_RULES['bas'], theta)
                           for theta in reference.constant('BAS_THRESHOLDS')])


def test_schedules(bas_psol):
    for data in CLASSES:
        cfg = config(data, 'vgg')
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
        values |= {f'loss_{kind}': losses, f'loss_{kind}_batch': batch,
                   f'loss_{kind}_grad_fore': fore.grad[:, 0, 0, 0], 'loss_grad_S_b': left.grad}
    values = arrays('bas_', values)
    bas_psol.compare('bas_loss_', values, TOLERANCES)


def test_box_rule(bas_psol):
    maps = bas_psol.make('box_maps')
    resized = stretched(np.asarray(maps), SIZE)
    areas = [[_largest_area(each > theta) for theta in bas_psol.constant('BAS_THRESHOLDS')]
             for each in resized]
    values = dict(bas_box=boxes_of(maps, bas_psol), bas_box_map224=resized[[0, 4], ::8, ::8],
                  bas_box_area=np.array(areas))
    bas_psol.compare('bas_box', values, TOLERANCES | {'bas_box(_area)?': 0})


def _largest_area(foreground):
    stats = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)[2]
    return max(stats[1:, cv2.CC_STAT_AREA], default=0)


@pytest.mark.parametrize('data', CLASSES)
def test_protocol(bas_psol, data):
    """Boxes outside the crop turn inside out there and are cut to nothing here: never hits."""
    prefix = f'bas_eval_{data}_'
    items = bas_psol.make('protocol', data, CLASSES[data])
    localizer = config(data, 'vgg').model.head.localizer
    ious, valid = [], []
    for item in items:
        box = find_boxes(item['map'][None], BOX_RULES['bas'], localizer.theta,
                         SIZE)
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
    values = dict(
        accuracy=accuracy, accuracy_over_images=over_images, k=[averaged(localizer)],
        threshold=localizer.theta, gt_in_crop=np.array([
            box_in_crop(item['boxes'][0], item['size']) for item in items[:60]]))
    values = arrays(prefix, values)
    bas_psol.compare(prefix, values, TOLERANCES, [f'{prefix}iou(_top.)?'])


def test_every_array_is_compared(bas_psol):
    compared = ('(cub|ilsvrc)_(vgg|resnet)_.*', 'net_.*', 'eval_.*', 'loss_.*', 'box.*',
                '(cub|ilsvrc)_lr', 'commit')
    bas_psol.check_complete('bas_', {}, [f'bas_{pattern}' for pattern in compared])
