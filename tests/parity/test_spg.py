"""SPG, as "Evaluating WSOL Methods Right" has it on VGG16.

Where no pixel is left to learn from, its loss is NaN and ours 0.
"""
import numpy as np
import pytest
import torch
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    branch_layers,
    build_network,
    fast_layers,
    grad_norms,
    labelled,
    load,
    of_all,
    of_labels,
    score_maps,
    train_step,
)

from cicam_mm.models import SPGHead
from cicam_mm.models.spg import sure_pixel_loss, sure_pixels

CONFIG = 'spg/spg_vgg16_cub.py'
BRANCHES = ('b2', 'b1', 'c')
LOSSES = ('loss_class', *(f'loss_{name}' for name in BRANCHES))
PIXELS = 20  # of a mask may lie on the other side of a threshold by rounding
SPG_TOLERANCES = TOLERANCES | {'.*_loss(_parts)?': 1e-4}


def head_layers(head):
    return branch_layers({'spg.a': head.head_a}) | {
        'spg.b1': head.branch_b1[0], 'spg.b2': head.branch_b2[0],
        'spg.shared1': head.shared[0], 'spg.shared2': head.shared[2],
        'spg.c1': head.branch_c[0], 'spg.c2': head.branch_c[2]}


def parts(losses):
    """Losses as an array, NaN where nothing was left."""
    values = [losses[name].item() for name in LOSSES]
    return [value or np.nan for value in values]


def counts(masks):
    """Of each mask, its numbers of 0, 1 and 255."""
    return [[int((mask == value).sum()) for value in (0, 1, 255)] for mask in masks]


def masks_of(head, feats, labels):
    maps, logits = head.branches(feats)
    attentions = head.attentions(maps, logits, labels)
    return attentions, [sure_pixels(attention, high, low)[:, 0] for attention, (high, low)
                        in zip(attentions, head.thresholds, strict=True)]


@pytest.fixture(scope='module')
def head(wsoleval_methods):
    head = SPGHead(int(wsoleval_methods['num_classes']))
    np.testing.assert_array_equal(head.thresholds, wsoleval_methods['spg_thresholds_r'])
    head.thresholds = wsoleval_methods['spg_thresholds_e'].tolist()
    load(wsoleval_methods, 'spg', head_layers(head))
    return head


def component(ref, head):
    layers = head_layers(head)
    feats = tuple(ref.make('features', f'spg.x{stage}').requires_grad_() for stage in (4, 5))
    y = ref.make('labels', 'spg.y', 3)
    losses = head.loss(feats, labelled(y))
    norms = [[gradient if gradient is None else gradient.double().norm().item()
              for gradient in torch.autograd.grad(
                  losses[name], feats, retain_graph=True, allow_unused=True)] for name in LOSSES]
    total = sum(losses.values())
    total.backward()
    scores, maps = head.localize(feats)
    with torch.no_grad():
        dense, side_logits = head.branches(feats)
        attentions, masks = masks_of(head, feats, y)
        nolabel = head.attentions(dense, side_logits, scores.argmax(dim=1))[0]
        raw = head.shared(head.branch_b1(feats[0])), head.shared(head.branch_b2(feats[1])), \
            head.branch_c(head.head_a[:-1](feats[1]))
    values = dict(
        spg_labels=y, spg_logits=scores.detach(),
        **{f'spg_logits_{name}': each[:, 0] for name, each in zip(
            ('b1', 'b2', 'c'), raw, strict=True)},
        **{f'spg_{name}': each[:, 0, ::8, ::8] for name, each in zip(
            ('attention', 'prob_b2', 'fused'), attentions, strict=True)},
        spg_logits_nolabel_attention=nolabel[:, 0, ::32, ::32],
        spg_maps=of_all(maps, y)[:, ::3], spg_label_map=of_labels(maps, y),
        spg_scoremap=score_maps(of_labels(maps, y)),
        spg_loss=total.item(), spg_loss_parts=parts(losses),
        **{f'spg_grad_x{stage}_norm_parts': [norm[i] or 0 for norm in norms]
           for i, stage in enumerate((4, 5))},
        spg_grad_x4=feats[0].grad[:, ::32], spg_grad_x5=feats[1].grad[:, ::32],
        spg_grad_a3_weight=layers['spg.a3'].weight.grad[:, ::16, 0, 0],
        spg_grad_shared2_weight=layers['spg.shared2'].weight.grad.flatten(),
        spg_grad_c2_weight=layers['spg.c2'].weight.grad.flatten(),
        spg_grad_b1_weight=layers['spg.b1'].weight.grad[::64, ::64],
        spg_grad_norms=grad_norms(ref, 'spg_grad_names', layers))
    masks = {f'spg_mask_{name}': mask for name, mask in zip(BRANCHES, masks, strict=True)}
    masks['spg_mask_counts'] = [counts(mask) for mask in masks.values()]
    more, more_masks = edges(ref, head, feats, y)
    return values | more, masks | more_masks


@torch.no_grad()
def edges(ref, head, feats, y):
    thresholds, head.thresholds = head.thresholds, ref['spg_thresholds_r'].tolist()
    released = head.loss(feats, labelled(y))
    head.thresholds = thresholds
    zeros = tuple(each * 0 for each in feats)
    weight = head.head_a[4].weight
    kept = weight.clone()
    weight[y[0]] = 0
    const = head.loss(feats, labelled(y))
    attentions, masks = masks_of(head, feats, y)
    weight[y] = 0
    all_const = head.loss(feats, labelled(y))
    weight.copy_(kept)
    hand = ref.make('spg_maps')
    hand_masks = sure_pixels(hand, *ref['spg_hand_thresholds'])[:, 0]
    ignored = sure_pixel_loss(torch.zeros(1, 1, 224, 224),
                              sure_pixels(torch.zeros(1, 1, 224, 224), .7, 0.))
    return dict(
        spg_r_loss=sum(released.values()).item(), spg_r_loss_parts=parts(released),
        spg_zero_logits=head(zeros), spg_zero_loss_parts=parts(head.loss(zeros, labelled(y))),
        spg_const_loss=sum(const.values()).item(), spg_const_loss_parts=parts(const),
        spg_const_attention_isnan=attentions[0].isnan().any(dim=-1).any(dim=-1)[:, 0],
        spg_allconst_loss_parts=parts(all_const), spg_allignored_loss=ignored.item() or np.nan,
    ), dict(
        spg_const_mask_b2_counts=counts(masks[0]), spg_hand_counts=counts(hand_masks),
        spg_hand_mask8=hand_masks[8, ::4, ::4],
        spg_hand_low_counts=counts(sure_pixels(hand[3:4], .7, .05))[0])


def networks(ref):
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    thresholds = ref['spg_thresholds_e'].tolist()
    model, layers, cfg = build_network(
        ref, CONFIG, 'spg', lambda model: head_layers(model.head),
        **{'model.head.thresholds': thresholds})
    assert fast_layers(cfg, model, layers) == sorted(ref['spg_net_lr10'])
    features, feats = [], []
    model.backbone.features[9].register_forward_hook(
        lambda layer, args, out: features.append(out.detach()))
    model.backbone.register_forward_hook(
        lambda module, args, out: feats.append([each.detach() for each in out]))
    losses, values = train_step(ref, 'spg_net', model, layers, images, labelled(y))
    head = model.head
    with torch.no_grad():
        scores, maps = head.localize(feats[0])
        _, masks = masks_of(head, feats[0], y)
        raw = (head.shared(head.branch_b1(feats[0][0])), head.shared(head.branch_b2(feats[0][1])),
               head.branch_c(head.head_a[:-1](feats[0][1])))
        values |= dict(
            spg_net_features=features[0][:, ::64, ::2, ::2], spg_net_logits=scores,
            spg_net_train_logits=scores, spg_net_map=of_labels(maps, y),
            spg_net_scoremap=score_maps(of_labels(maps, y)), spg_net_loss_parts=parts(losses),
            **{f'spg_net_logits_{name}': each[:, 0] for name, each in zip(
                ('b1', 'b2', 'c'), raw, strict=True)})
        large, *_ = build_network(
            ref, CONFIG, 'spg', lambda model: head_layers(model.head),
            **{'model.head.thresholds': thresholds, 'model.backbone.strides': (2, 2, 2, 1, 1),
               'model.backbone.pool_sizes': (2, 2, 2, None, None)})
        feats28 = large.extract_feat(images)
        values |= dict(
            spg_net28_logits=large.head(feats28),
            spg_net28_loss_parts=parts(large.head.loss(feats28, labelled(y))))
    return values, dict(spg_net_mask_counts=[counts(mask) for mask in masks])


def check_masks(ref, masks):
    for name, value in masks.items():
        expected, value = ref[name].astype(int), np.asarray(value).astype(int)
        assert value.shape == expected.shape, name
        if name.endswith('counts'):
            assert np.abs(value - expected).max() <= PIXELS, name
        else:
            assert (value != expected).sum(axis=(-2, -1)).max() <= PIXELS, name


def test_spg(wsoleval_methods, head):
    values, masks = component(wsoleval_methods, head)
    of_networks, masks_of_networks = networks(wsoleval_methods)
    values |= of_networks
    wsoleval_methods.check(values, SPG_TOLERANCES)
    check_masks(wsoleval_methods, masks | masks_of_networks)
    wsoleval_methods.check_complete(
        'spg_', values | masks | masks_of_networks, (*INFORMATION, 'spg_.*thresholds.*'))
