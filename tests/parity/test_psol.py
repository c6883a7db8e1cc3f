"""Every array that the authors' code of PSOL computed of its regression."""
from pathlib import Path

import numpy as np
import pytest
import torch
from crop_protocol import accuracies, box_in_crop, class_hits
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from parity_parts import SIZE, VGG, arrays, load
from torchvision.ops import box_iou

from cicam_mm.datasets.pseudo_boxes import boxes_in_window
from cicam_mm.models import PSOLHead
from cicam_mm.models.psol import corners

CONFIGS = Path(__file__).parents[2] / 'configs' / 'psol'
TOLERANCES = {
    '.*': 1e-4,
    '.*resnet50_(test_out|loss)': 1e-3,
    '.*_grad_(x|fc2_bias)': 2e-2,
    '.*grad_norms': 1e-2,
    '.*_(hit|accuracy(_over_images)?)': 0,
}


def own_name(name):
    module, _, parameter = name.rpartition('.')
    if module in VGG:
        return f'backbone.features.{VGG[module]}.conv.{parameter}'
    if module in ('fc1', 'fc2'):
        return f'head.box.{dict(fc1=0, fc2=2)[module]}.{parameter}'
    return f'backbone.{name}'


def samples(targets):
    """Training samples whose boxes are given as x, y, w, h in shares."""
    boxes = 224 * corners(torch.as_tensor(targets))
    return [DataSample(gt_bboxes=box[None].numpy(), metainfo=dict(img_shape=SIZE))
            for box in boxes]


def gradient_norms(parameters):
    return [parameter.grad.double().norm() for parameter in parameters]


@pytest.mark.parametrize('kind, width', [('vgggap', 512), ('resnet50', 2048),
                                         ('densenet161', 2208)])
def test_heads(bas_psol, kind, width):
    head = PSOLHead(num_classes=10, in_channels=width)
    load(head, bas_psol.make('psol_head', width), own_name, 'head.')
    x = bas_psol.make('psol_vectors', width)[..., None, None].requires_grad_()
    loss = head.loss((x, ), samples(bas_psol.make('psol_targets')))['loss']
    loss.backward()
    values = arrays(f'psol_head_{kind}_', dict(
        out=head((x, )), loss=loss, grad_x=x.grad[:, ::32, 0, 0],
        grad_norms=gradient_norms(head.parameters()), grad_fc2_bias=head.box[2].bias.grad))
    bas_psol.compare(f'psol_head_{kind}_', values, TOLERANCES)


def build(name, **head):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.model.backbone.pop('init_cfg')
    return MODELS.build(cfg.model), cfg


def test_vgg16(bas_psol):
    model, _ = build('psol_vgg16_ilsvrc')
    load(model, bas_psol.make('vgg16') | bas_psol.make('psol_head', 512), own_name)
    feats = model.train().extract_feat(bas_psol.make('psol_images'))
    loss = model.head.loss(feats, samples(bas_psol.make('psol_targets', 2)))['loss']
    loss.backward()
    parameters = dict(model.named_parameters())
    values = arrays('psol_net_vgggap_', dict(
        features=feats[0][:, ::32], out=model.head(feats), loss=loss,
        grad_norms=gradient_norms(
            parameters[own_name(name)]
            for name in bas_psol['psol_net_vgggap_grad_names'].tolist())))
    bas_psol.compare('psol_net_vgggap_', values, TOLERANCES, ['.*_grad_names'])


def test_resnet50_for_one_step(bas_psol):
    model, cfg = build('psol_resnet50_ilsvrc')
    load(model, bas_psol.make('resnet50') | bas_psol.make('psol_head', 2048), own_name)
    images = bas_psol.make('psol_images')
    targets = bas_psol.make('psol_targets', 2)
    truths = samples(targets)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
    parameters = dict(model.named_parameters())
    assert {name for name, p in parameters.items() if rates[id(p)] == 2e-3} == {
        name for name in parameters if name.startswith('head')}

    feats = model.train().extract_feat(images)
    losses, outs = [model.head.loss(feats, truths)['loss']], [model.head(feats)]
    losses[0].backward()
    optimizer.step()
    mean = model.backbone.bn1.running_mean[::4].clone()
    with torch.no_grad():
        feats = model.eval().extract_feat(images)
        losses.append(model.head.loss(feats, truths)['loss'])
        outs.append(model.head(feats))
    values = arrays('psol_net_resnet50_', dict(
        loss=[loss.item() for loss in losses],
        accuracy=[(clamped_ious(out, targets) >= .5).double().mean() for out in outs],
        test_out=outs[1], lr=[rates[id(model.head.box[2].bias)],
                              rates[id(parameters['backbone.conv1.weight'])]],
        options=[optimizer.param_groups[0][key]
                 for key in ('momentum', 'weight_decay', 'nesterov')],
        fc2_bias_after=model.head.box[2].bias, bn1_mean_after=mean,
        first_conv_after=parameters['backbone.conv1.weight'][::8]))
    bas_psol.compare('psol_net_resnet50_', values, TOLERANCES)
    assert not cfg.param_scheduler
    constant = np.array([values['psol_net_resnet50_lr']] * cfg.train_cfg.max_epochs)
    bas_psol.check(dict(psol_lr=constant), TOLERANCES)


def clamped_ious(found, targets):
    found, targets = (corners(torch.as_tensor(boxes)).clamp(0, 1) for boxes in (found, targets))
    return box_iou(found, targets).diagonal()


def test_overlaps(bas_psol):
    """Ours count pixels at both ends; the release's do not, as torchvision's."""
    found, targets = map(torch.from_numpy, bas_psol.make('psol_iou_pairs'))
    pixels = box_iou(*(224 * corners(boxes.double()) for boxes in (found, targets)))
    values = arrays('psol_iou_', dict(
        train=clamped_ious(found, targets), pixels=pixels.diagonal()))
    bas_psol.compare('psol_iou_', values, TOLERANCES)


def in_pixels(width, height, xywh):
    """A pseudo box in pixels of its image, rounded up as there."""
    return np.ceil(np.round(corners(torch.tensor(xywh, dtype=torch.float64)).numpy()
                            * [width, height, width, height], 9))


def shares(boxes):
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1) / 224


def test_crops(bas_psol):
    cases = bas_psol._inputs['PSOL_CROPS']
    drawn = [bas_psol[f'psol_crop_{name}'] for name in ('case', 'window', 'flip')]
    targets = []
    for case, window, flip in zip(*drawn, strict=True):
        box, = boxes_in_window(in_pixels(*cases[case])[None], window, 224)
        if flip:
            box[[0, 2]] = 224 - box[[2, 0]]
        targets.append(shares(box))
    test = [shares(box_in_crop(corners(torch.tensor(box)), (1, 1))) for *_, box in cases]
    values = dict(psol_crop_target=np.stack(targets), psol_test_target=np.stack(test))
    bas_psol.check(values, TOLERANCES)
    bas_psol.check_complete(
        'psol_crop_', {'psol_crop_target'}, ['psol_crop_(case|window|flip)'])


def test_protocol(bas_psol):
    items = bas_psol.make('protocol', 'psol', 1000)
    ious = []
    for item in items:
        truths = [box_in_crop(truth - 1, item['size']) for truth in item['boxes']]
        found = 224 * corners(torch.from_numpy(item['xywh']).double())
        ious.append(box_iou(found[None], torch.from_numpy(np.array(truths))).max().item())
    values, hit = dict(iou=ious), np.array(ious) > .5
    for view, key in ('ten', 'logits'), ('one', 'centre'):
        best, among = class_hits(items, key)
        hits = best & hit, among & hit, hit, best
        accuracy, over_images = accuracies(hits, items)
        values |= {f'{view}_top1_hit': hits[0], f'{view}_top5_hit': hits[1],
                   f'{view}_cls_hit': best, f'{view}_accuracy': accuracy,
                   f'{view}_accuracy_over_images': over_images}
    values = arrays('psol_eval_', values)
    bas_psol.compare('psol_eval_', values, TOLERANCES | {'.*accuracy.*': 1e-12})


def test_every_array_is_compared(bas_psol):
    """But VGG16 with its linear layers, of which the release tells the structure alone."""
    compared = ('head_.*', 'net_.*', 'lr', 'iou_.*', 'crop_.*', 'test_target', 'eval_.*',
                'vgg16_(layers|parameters)', 'commit')
    bas_psol.check_complete('psol_', {}, [f'psol_{pattern}' for pattern in compared])
