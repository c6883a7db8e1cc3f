"""Every array that the authors' code of PSOL computed of its regression."""
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from parity_parts import (
    SIZE,
    accuracies,
    box_in_crop,
    build,
    class_hits,
    grad_norms,
    load,
    named,
    own_layers,
    rates_of,
    vgg_layers,
)
from torchvision.ops import box_convert, box_iou

from cicam_mm.datasets.pseudo_boxes import boxes_in_window
from cicam_mm.models import PSOLHead

TOLERANCES = {
    '.*': 1e-4,
    '.*resnet50_(test_out|loss)': 1e-3,
    '.*_grad_(x|fc2_bias)': 2e-2,
    '.*grad_norms': 1e-2,
    '.*_(hit|accuracy(_over_images)?)': 0,
}


def corners(boxes):
    return box_convert(boxes, 'xywh', 'xyxy')


def head_layers(head):
    return dict(fc1=head.box[0], fc2=head.box[2])


def samples(targets):
    """Training samples whose boxes are given as x, y, w, h in shares."""
    boxes = 224 * corners(torch.as_tensor(targets))
    return [DataSample(gt_bboxes=box[None].numpy(), metainfo=dict(img_shape=SIZE))
            for box in boxes]


@pytest.mark.parametrize('kind, width', [('vgggap', 512), ('resnet50', 2048),
                                         ('densenet161', 2208)])
def test_heads(bas_psol, kind, width):
    head = PSOLHead(num_classes=10, in_channels=width)
    load(head_layers(head), bas_psol.make('psol_head', width))
    x = bas_psol.make('psol_vectors', width)[..., None, None].requires_grad_()
    loss = head.loss((x, ), samples(bas_psol.make('psol_targets')))['loss']
    loss.backward()
    bas_psol.compare(f'psol_head_{kind}_', dict(
        out=head((x, )), loss=loss, grad_x=x.grad[:, ::32, 0, 0],
        grad_norms=[parameter.grad.double().norm() for parameter in head.parameters()],
        grad_fc2_bias=head.box[2].bias.grad), TOLERANCES)


def test_vgg16(bas_psol):
    model, layers, _ = build(
        'psol/psol_vgg16_ilsvrc.py',
        lambda model: vgg_layers(model.backbone) | head_layers(model.head),
        bas_psol.make('vgg16') | bas_psol.make('psol_head', 512))
    feats = model.train().extract_feat(bas_psol.make('psol_images'))
    loss = model.head.loss(feats, samples(bas_psol.make('psol_targets', 2)))['loss']
    loss.backward()
    bas_psol.compare('psol_net_vgggap_', dict(
        features=feats[0][:, ::32], out=model.head(feats), loss=loss,
        grad_norms=grad_norms(layers, bas_psol['psol_net_vgggap_grad_names'])), TOLERANCES)


def test_resnet50_for_one_step(bas_psol):
    model, layers, cfg = build(
        'psol/psol_resnet50_ilsvrc.py',
        lambda model: own_layers(model.backbone) | head_layers(model.head),
        bas_psol.make('resnet50') | bas_psol.make('psol_head', 2048))
    targets = bas_psol.make('psol_targets', 2)
    images, truths = bas_psol.make('psol_images'), samples(targets)
    optimizer, rates = rates_of(cfg, model, layers)
    assert {name for name, rate in rates.items() if rate == 2e-3} == {
        name for name in rates if name.startswith('fc')}

    feats = model.train().extract_feat(images)
    losses, outs = [model.head.loss(feats, truths)['loss']], [model.head(feats)]
    losses[0].backward()
    optimizer.step()
    mean = model.backbone.bn1.running_mean[::4].clone()
    with torch.no_grad():
        feats = model.eval().extract_feat(images)
        losses.append(model.head.loss(feats, truths)['loss'])
        outs.append(model.head(feats))
    lr = [rates['fc2.bias'], rates['conv1.weight']]
    bas_psol.compare('psol_net_resnet50_', dict(
        loss=[loss.item() for loss in losses],
        accuracy=[(clamped_ious(out, targets) >= .5).double().mean() for out in outs],
        test_out=outs[1], lr=lr,
        options=[optimizer.param_groups[0][key]
                 for key in ('momentum', 'weight_decay', 'nesterov')],
        fc2_bias_after=layers['fc2'].bias, bn1_mean_after=mean,
        first_conv_after=layers['conv1'].weight[::8]), TOLERANCES)
    assert not cfg.param_scheduler
    bas_psol.check(dict(psol_lr=[lr] * cfg.train_cfg.max_epochs), TOLERANCES)


def clamped_ious(found, targets):
    found, targets = (corners(torch.as_tensor(boxes)).clamp(0, 1) for boxes in (found, targets))
    return box_iou(found, targets).diagonal()


def test_overlaps(bas_psol):
    """Ours count pixels at both ends; the release's do not, as torchvision's."""
    found, targets = map(torch.from_numpy, bas_psol.make('psol_iou_pairs'))
    pixels = box_iou(*(224 * corners(boxes.double()) for boxes in (found, targets)))
    bas_psol.compare('psol_iou_', dict(
        train=clamped_ious(found, targets), pixels=pixels.diagonal()), TOLERANCES)


def in_pixels(width, height, xywh):
    """A pseudo box in pixels of its image, rounded up as there."""
    return np.ceil(np.round(corners(torch.tensor(xywh, dtype=torch.float64)).numpy()
                            * [width, height, width, height], 9))


def shares(boxes):
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1) / 224


def test_crops(bas_psol):
    cases = bas_psol.constant('PSOL_CROPS')
    drawn = [bas_psol[f'psol_crop_{name}'] for name in ('case', 'window', 'flip')]
    targets = []
    for case, window, flip in zip(*drawn, strict=True):
        box, = boxes_in_window(in_pixels(*cases[case])[None], window, 224)
        if flip:
            box[[0, 2]] = 224 - box[[2, 0]]
        targets.append(shares(box))
    test = [shares(box_in_crop(corners(torch.tensor(box)), (1, 1))) for *_, box in cases]
    bas_psol.check(dict(psol_crop_target=targets, psol_test_target=test), TOLERANCES)


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
        values |= named(f'{view}_', dict(
            top1_hit=hits[0], top5_hit=hits[1], cls_hit=best, accuracy=accuracy,
            accuracy_over_images=over_images))
    bas_psol.compare('psol_eval_', values, TOLERANCES | {'.*accuracy.*': 1e-12})
