"""SPG, as "Evaluating WSOL Methods Right" has it on VGG16.

Where no pixel is left to learn from, its loss is NaN and ours 0.
"""
import numpy as np
import torch
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
from wsoleval_parts import TOLERANCES, branch_layers, fast_layers, network, score_maps

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


def spg_network(ref, **options):
    return network(ref, CONFIG, 'spg',
                   lambda model: vgg_layers(model.backbone) | head_layers(model.head),
                   **{'model.head.thresholds': ref['spg_thresholds_e'].tolist(), **options})


def parts(losses):
    """Losses as an array, NaN where nothing was left."""
    return [losses[name].item() or np.nan for name in LOSSES]


def counts(masks):
    """Of each mask, its numbers of 0, 1 and 255."""
    return [[int((mask == value).sum()) for value in (0, 1, 255)] for mask in masks]


@torch.no_grad()
def inside(head, feats, labels):
    """Attentions and masks by branch, and the scores of pixels by the reference's names."""
    attentions = head.attentions(*head.branches(feats), labels)
    masks = [sure_pixels(attention, high, low)[:, 0] for attention, (high, low)
             in zip(attentions, head.thresholds, strict=True)]
    return attentions, masks, dict(
        logits_b1=head.shared(head.branch_b1(feats[0]))[:, 0],
        logits_b2=head.shared(head.branch_b2(feats[1]))[:, 0],
        logits_c=head.branch_c(head.head_a[:-1](feats[1]))[:, 0])


def check_masks(ref, masks):
    for name, value in masks.items():
        expected, value = ref[name].astype(int), np.asarray(value).astype(int)
        assert value.shape == expected.shape, name
        if name.endswith('counts'):
            assert np.abs(value - expected).max() <= PIXELS, name
        else:
            assert (value != expected).sum(axis=(-2, -1)).max() <= PIXELS, name


def test_head(wsoleval_methods):
    ref = wsoleval_methods
    head = SPGHead(int(ref['num_classes']))
    np.testing.assert_array_equal(head.thresholds, ref['spg_thresholds_r'])
    head.thresholds = ref['spg_thresholds_e'].tolist()
    layers = head_layers(head)
    load(layers, ref.make('state', 'spg'))
    feats = tuple(ref.make('features', f'spg.x{stage}').requires_grad_() for stage in (4, 5))
    y = ref.make('labels', 'spg.y', 3)
    losses = head.loss(feats, samples(y))
    norms = [[0 if gradient is None else gradient.double().norm().item()
              for gradient in torch.autograd.grad(
                  losses[name], feats, retain_graph=True, allow_unused=True)] for name in LOSSES]
    total = sum(losses.values())
    total.backward()
    scores, maps = head.localize(feats)
    attentions, masks, pixel_scores = inside(head, feats, y)
    of_best = inside(head, feats, scores.argmax(dim=1))[0]
    values = pixel_scores | dict(
        labels=y, logits=scores,
        **{name: each[:, 0, ::8, ::8] for name, each in zip(
            ('attention', 'prob_b2', 'fused'), attentions, strict=True)},
        logits_nolabel_attention=of_best[0][:, 0, ::32, ::32],
        maps=of_all(maps, 3)[:, ::3], label_map=of_labels(maps, y),
        scoremap=score_maps(of_labels(maps, y)), loss=total.item(), loss_parts=parts(losses),
        **{f'grad_x{stage}_norm_parts': [norm[i] for norm in norms]
           for i, stage in enumerate((4, 5))},
        grad_x4=feats[0].grad[:, ::32], grad_x5=feats[1].grad[:, ::32],
        grad_a3_weight=layers['spg.a3'].weight.grad[:, ::16, 0, 0],
        grad_shared2_weight=layers['spg.shared2'].weight.grad.flatten(),
        grad_c2_weight=layers['spg.c2'].weight.grad.flatten(),
        grad_b1_weight=layers['spg.b1'].weight.grad[::64, ::64],
        grad_norms=grad_norms(layers, ref['spg_grad_names']))
    masks = {f'mask_{name}': mask for name, mask in zip(BRANCHES, masks, strict=True)}
    masks['mask_counts'] = [counts(mask) for mask in masks.values()]
    more, more_masks = edges(ref, head, feats, y)
    masks = named('spg_', masks | more_masks)
    check_masks(ref, masks)
    ref.compare('spg_', values | more, SPG_TOLERANCES, ['spg_net.*', *masks])


@torch.no_grad()
def edges(ref, head, feats, y):
    thresholds, head.thresholds = head.thresholds, ref['spg_thresholds_r'].tolist()
    released = head.loss(feats, samples(y))
    head.thresholds = thresholds
    zeros = tuple(each * 0 for each in feats)
    weight = head.head_a[4].weight
    kept = weight.clone()
    weight[y[0]] = 0
    const = head.loss(feats, samples(y))
    attentions, masks, _ = inside(head, feats, y)
    weight[y] = 0
    all_const = head.loss(feats, samples(y))
    weight.copy_(kept)
    hand, no_map = ref.make('spg_maps'), torch.zeros(1, 1, 224, 224)
    hand_masks = sure_pixels(hand, *ref['spg_hand_thresholds'])[:, 0]
    ignored = sure_pixel_loss(no_map, sure_pixels(no_map, .7, 0.))
    return dict(
        r_loss=sum(released.values()).item(), r_loss_parts=parts(released),
        zero_logits=head(zeros), zero_loss_parts=parts(head.loss(zeros, samples(y))),
        const_loss=sum(const.values()).item(), const_loss_parts=parts(const),
        const_attention_isnan=attentions[0].isnan().any(dim=-1).any(dim=-1)[:, 0],
        allconst_loss_parts=parts(all_const), allignored_loss=ignored.item() or np.nan,
    ), dict(
        const_mask_b2_counts=counts(masks[0]), hand_counts=counts(hand_masks),
        hand_mask8=hand_masks[8, ::4, ::4],
        hand_low_counts=counts(sure_pixels(hand[3:4], .7, .05))[0])


def test_networks(wsoleval_methods):
    ref = wsoleval_methods
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    model, layers, cfg = spg_network(ref)
    assert fast_layers(cfg, model, layers) == sorted(ref['spg_net_lr10'])
    seen = []
    model.backbone.features[9].register_forward_hook(
        lambda layer, args, out: seen.append(out.detach()))
    model.backbone.register_forward_hook(
        lambda module, args, out: seen.append([each.detach() for each in out]))
    values, losses = train_step(ref, 'spg_net_', model, layers, images, samples(y))
    features, feats = seen
    with torch.no_grad():
        scores, maps = model.head.localize(feats)
    _, masks, pixel_scores = inside(model.head, feats, y)
    check_masks(ref, dict(spg_net_mask_counts=[counts(mask) for mask in masks]))
    ref.compare('spg_net_', values | pixel_scores | dict(
        features=features[:, ::64, ::2, ::2], logits=scores, train_logits=scores,
        map=of_labels(maps, y), scoremap=score_maps(of_labels(maps, y)),
        loss_parts=parts(losses)), SPG_TOLERANCES, ['spg_net_mask_counts'])

    large, *_ = spg_network(ref, **{'model.backbone.strides': (2, 2, 2, 1, 1),
                                    'model.backbone.pool_sizes': (2, 2, 2, None, None)})
    with torch.no_grad():
        feats = large.extract_feat(images)
        ref.compare('spg_net28_', dict(
            logits=large.head(feats),
            loss_parts=parts(large.head.loss(feats, samples(y)))), SPG_TOLERANCES)
