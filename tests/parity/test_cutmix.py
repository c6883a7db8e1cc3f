"""CutMix: MMPretrain's own augmentation, fed with the draws of "Evaluating WSOL Methods Right"."""
import numpy as np
import pytest
import torch
from mmpretrain.models import CutMix
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    build_network,
    cam_layers,
    labelled,
    train_step,
)

from cicam_mm.models import CAMHead

CASES = ('inner', 'corner', 'drawn', 'one', 'zero', 'thin')
OPTIONS = ('cutmix_beta', 'cutmix_q')


def mix(images, labels, order, lam, row, column, num_classes):
    """Images, label scores, box and adjusted lambda of MMPretrain's augmentation, given draws."""
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
            for sample, score in zip(labelled(labels), scores, strict=True)]


def component(ref):
    values = {}
    head = CAMHead(int(ref['num_classes']), 8)
    for case in CASES:
        images, labels, order, lam, row, column = ref.make('cutmix_case', case)
        labels = torch.from_numpy(labels)
        mixed, scores, box, adjusted = mix(
            torch.from_numpy(images), labels, order, lam, row, column, head.num_classes)
        logits = ref.make('normal', f'cutmix.{case}.logits', (4, 12), 2.0).requires_grad_()
        loss = head._get_loss(logits, with_scores(labels, scores))['loss']
        loss.backward()
        values |= {
            f'cutmix_{case}_box': box,
            f'cutmix_{case}_lam': (lam, adjusted),
            f'cutmix_{case}_labels_b': labels[order],
            f'cutmix_{case}_loss': loss.item(),
            f'cutmix_{case}_grad_logits': logits.grad,
        }
        if case in ('inner', 'corner'):
            values[f'cutmix_{case}_mixed_ch0'] = mixed[:, 0]
    return values


def network(ref):
    lam, row, column = ref['cutmix_net_options']
    labels = torch.from_numpy(ref['net_labels'])
    images, scores, *_ = mix(
        ref.make('images'), labels, [1, 0], lam, int(row), int(column), 12)
    model, layers, _ = build_network(ref, 'cutmix/cutmix_vgg16_cub.py', 'cutmix', cam_layers)
    logits = []
    model.head.fc.register_forward_hook(lambda fc, args, out: logits.append(out.detach()))
    _, values = train_step(
        ref, 'cutmix_net', model, layers, images, with_scores(labels, scores))
    return values | dict(cutmix_net_train_logits=logits[0])


def test_cutmix(wsoleval_methods):
    values = component(wsoleval_methods) | network(wsoleval_methods)
    wsoleval_methods.compare('cutmix_', values, TOLERANCES, INFORMATION + OPTIONS)
