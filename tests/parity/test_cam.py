"""CAM, and HaS, CutMix and ADL, which train its network, by "Evaluating WSOL Methods Right".

HaS is wrong there for images that are not square, and is not followed (``wide``, ``tall``).
"""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmpretrain.models import CutMix
from parity_parts import (
    grad_norms,
    load,
    named,
    of_all,
    of_labels,
    samples,
    train_step,
    vgg_layers,
)
from wsoleval_parts import TOLERANCES, fast_layers, network, score_maps

from cicam_mm.datasets.hide_and_seek import hidden_cells
from cicam_mm.models import ADL, CAMHead, ConvNeck
from cicam_mm.models.adl import erases
from cicam_mm.models.erasing import keep_mask

CHANNELS = 1024  # over which the reference takes the mean


def head_layers(model):
    return {'cam.new': model.neck.conv.conv, 'cam.fc': model.head.fc}


def cam_network(ref, config, **options):
    return network(ref, config, 'cam',
                   lambda model: vgg_layers(model.backbone) | head_layers(model), **options)


def step(ref, prefix, model, layers, images, labelled):
    """A training step, with its scores."""
    scores = []
    model.head.fc.register_forward_hook(lambda fc, args, out: scores.append(out.detach()))
    values, _ = train_step(ref, prefix, model, layers, images, labelled)
    return values | dict(train_logits=scores[0])


# --- CAM -----------------------------------------------------------------------------------------
def test_head(wsoleval_methods):
    ref = wsoleval_methods
    model = SimpleNamespace(neck=ConvNeck(512), head=CAMHead(int(ref['num_classes']), CHANNELS))
    layers = head_layers(model)
    load(layers, ref.make('state', 'cam'))
    x, y = ref.make('features', 'cam.x').requires_grad_(), ref.make('labels', 'cam.y', 3)
    feats = model.neck((x, ))
    loss = model.head.loss(feats, samples(y))['loss']
    loss.backward()
    scores, maps = model.head.localize(feats)
    zero_scores, zero_maps = model.head.localize(model.neck((x * 0, )))
    values = dict(
        labels=y, logits=scores, loss=loss.item(), maps=of_all(maps, 3) / CHANNELS,
        scoremap=score_maps(of_labels(maps, y)), grad_x=x.grad[:, ::32],
        grad_new_weight=layers['cam.new'].weight.grad[::64, ::64],
        grad_fc_weight=layers['cam.fc'].weight.grad[:, ::16],
        grad_norms=grad_norms(layers, ref['cam_grad_names']), zero_logits=zero_scores,
        zero_map=of_labels(zero_maps, y)[:, ::13, ::13] / CHANNELS)
    with torch.no_grad():
        model.head.fc.weight[y[0]] = 0
        scores, maps = model.head.localize(feats)
    constant = of_labels(maps, y)
    values |= dict(
        const_logits=scores, const_map_max=constant.abs().amax(dim=(1, 2)) / CHANNELS,
        const_scoremap_max=score_maps(constant, 1).max(axis=(1, 2)))
    ref.compare('cam_', values, TOLERANCES, ['cam_net.*'])


def test_network(wsoleval_methods):
    ref, config = wsoleval_methods, 'cam/cam_vgg16_cub_wsoleval.py'
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    model, layers, cfg = cam_network(ref, config)
    assert fast_layers(cfg, model, layers) == sorted(ref['cam_net_lr10'])
    seen = []
    model.backbone.register_forward_hook(lambda module, args, out: seen.append(out[0].detach()))
    values = step(ref, 'cam_net_', model, layers, images, samples(y))
    with torch.no_grad():
        scores, maps = model.head.localize(model.neck((seen[0], )))
        small, *_ = cam_network(ref, config, **{'model.backbone.strides': (2, 2, 2, 1, 1)})
        scores28, maps28 = small.head.localize(small.extract_feat(images))
    ref.compare('cam_net_', values | dict(
        features=seen[0][:, ::64], logits=scores, map=of_labels(maps, y) / CHANNELS,
        scoremap=score_maps(of_labels(maps, y))), TOLERANCES)
    ref.compare('cam_net28_', dict(
        logits=scores28, map=of_labels(maps28, y)[:, ::2, ::2] / CHANNELS), TOLERANCES)


# --- HaS -----------------------------------------------------------------------------------------
def hidden(draws, side, rate, images):
    size = images.shape[2:]
    if not side:
        return np.zeros((len(images), *size), bool)
    return np.stack([hidden_cells(each, side, rate, size) for each in draws])


def test_has(wsoleval_methods):
    ref, values = wsoleval_methods, {}
    for case in 'even', 'ragged', 'default', 'one', 'zero', 'side0', 'tie':
        images, draws, side, rate = ref.make('has_case', case)
        values[f'{case}_hidden'] = mask = hidden(draws, side, rate, images)
        if case == 'default':
            values['default_out'] = np.where(mask[:, None], 0, images)
    images = ref.make('images')
    side, rate = int(ref['has_net_options'][0]), ref['has_net_options'][1]
    draws = ref.make('has_uniforms', 'has.net.u', 2, 224, 224, side).numpy()
    mask = torch.from_numpy(hidden(draws, side, rate, images))
    model, layers, _ = cam_network(ref, 'has/has_vgg16_cub.py')
    values |= named('net_', step(ref, 'has_net_', model, layers, images.masked_fill(
        mask[:, None], 0), samples(ref['net_labels'])))
    ref.compare('has_', values, TOLERANCES | {'has_default_out': 0}, ['has_(wide|tall)_.*'])


# --- CutMix: MMPretrain's own augmentation, fed with the draws of the reference -----------------
def mix(images, labels, order, lam, row, column, num_classes):
    """Images, label scores, box and adjusted lambda of the augmentation, given draws."""
    augment = CutMix(alpha=1.)
    told = []

    def record(size, drawn):
        told.append(CutMix.cutmix_bbox_and_lam(augment, size, drawn))
        return told[-1]

    with pytest.MonkeyPatch.context() as patch:
        centre = iter((row, column))
        patch.setattr(np.random, 'beta', lambda *args: lam)
        patch.setattr(np.random, 'randint', lambda *args, **kwargs: next(centre))
        patch.setattr(torch, 'randperm', lambda count: torch.as_tensor(np.asarray(order)))
        augment.cutmix_bbox_and_lam = record
        mixed, scores = augment(images.clone(),
                                torch.nn.functional.one_hot(labels, num_classes))
    ((y0, y1, x0, x1), adjusted), = told
    return mixed, scores, (y0, x0, y1, x1), adjusted


def with_scores(labels, scores):
    return [sample.set_gt_score(score)
            for sample, score in zip(samples(labels), scores, strict=True)]


def test_cutmix(wsoleval_methods):
    ref, values = wsoleval_methods, {}
    num_classes = int(ref['num_classes'])
    head = CAMHead(num_classes, 8)
    for case in 'inner', 'corner', 'drawn', 'one', 'zero', 'thin':
        images, labels, order, lam, row, column = ref.make('cutmix_case', case)
        labels = torch.from_numpy(labels)
        mixed, scores, box, adjusted = mix(
            torch.from_numpy(images), labels, order, lam, row, column, num_classes)
        logits = ref.make('normal', f'cutmix.{case}.logits', (4, 12), 2.0).requires_grad_()
        loss = head._get_loss(logits, with_scores(labels, scores))['loss']
        loss.backward()
        values |= named(f'{case}_', dict(
            box=box, lam=(lam, adjusted), labels_b=labels[order], loss=loss.item(),
            grad_logits=logits.grad))
        if case in ('inner', 'corner'):
            values[f'{case}_mixed_ch0'] = mixed[:, 0]
    lam, row, column = ref['cutmix_net_options']
    labels = torch.from_numpy(ref['net_labels'])
    images, scores, *_ = mix(
        ref.make('images'), labels, [1, 0], lam, int(row), int(column), num_classes)
    model, layers, _ = cam_network(ref, 'cutmix/cutmix_vgg16_cub.py')
    values |= named('net_', step(
        ref, 'cutmix_net_', model, layers, images, with_scores(labels, scores)))
    ref.compare('cutmix_', values, TOLERANCES, ['cutmix_(beta|q)'])


# --- ADL -----------------------------------------------------------------------------------------
def test_adl_layer(wsoleval_methods):
    ref, values, given = wsoleval_methods, {}, {}
    for kind in 'relu', 'signed':
        given[kind] = ref.make('features', f'adl.{kind}', channels=64, signed=kind == 'signed')
        upstream = ref.make('normal', f'adl.{kind}.upstream', (3, 64, 14, 14))
        for name, gamma, p, channels in (
                ('importance', .9, 0, 8), ('drop_g9', .9, 1, 32), ('drop_g8', .8, 1, 32)):
            x = given[kind].clone().requires_grad_()
            out = ADL(gamma, p)(x)
            (out * upstream).sum().backward()
            values |= {f'{kind}_{name}_out': out[:, ::channels],
                       f'{kind}_{name}_grad': x.grad[:, ::channels]}
            if p:
                values[f'{kind}_{name}_keep'] = keep_mask(x, gamma)[:, 0]
    relu, signed = given.values()
    edges = relu * 0, relu * 0 + 1, relu * 0 - 1, -signed.abs() - .1, relu
    values |= dict(
        coin_cases=[(u, p, erases(u, p)) for u, p in ref['adl_coin_cases'][:, :2]],
        edge_kept=[[keep_mask(x, gamma).mean().item() for gamma in (.9, 1., 0.)]
                   for x in edges])
    ref.compare('adl_', values, TOLERANCES | {'adl_edge_kept': 1e-6},  # shares in float32
                ['adl_(p|gammas|coins|net.*)'])


def test_adl_networks(wsoleval_methods):
    ref = wsoleval_methods
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    for prefix in 'adl_net_', 'adl_net2_':
        adl = dict(type='ADL', gamma=float(ref[f'{prefix}gamma']), p=float(ref['adl_p']))
        model, layers, cfg = cam_network(ref, 'adl/adl_vgg16_cub.py', **{
            'model.backbone.plugins': [dict(cfg=adl, stages=(3, 5)),
                                       dict(cfg=adl, stages=(4, ), position='before_pool')]})
        values, kept, norms = {}, [], []
        if prefix == 'adl_net_':
            assert fast_layers(cfg, model, layers) == sorted(ref['adl_net_lr10'])
            with torch.no_grad():
                scores, maps = model.eval().head.localize(model.extract_feat(images))
            values |= dict(logits=scores, map=of_labels(maps, y)[:, ::13, ::13] / CHANNELS)

        def record(layer, args, out, kept=kept, norms=norms):
            kept.append(keep_mask(args[0], layer.gamma).mean(dim=(1, 2, 3)).tolist())
            norms.append(out.detach().double().norm().item())

        for name, coin in zip(('3', '4_before_pool', '5'), ref[f'{prefix}coins'], strict=True):
            layer = model.backbone.adl[name]
            layer._toss = lambda coin=coin: coin
            layer.register_forward_hook(record)
        values |= step(ref, prefix, model, layers, images, samples(y))
        ref.compare(prefix, values | dict(kept=kept, out_norms=norms),
                    TOLERANCES | {'.*_kept': 1e-6}, [f'{prefix}(gamma|p|coins)'])
