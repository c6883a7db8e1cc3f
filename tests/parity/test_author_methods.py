"""Every array that the authors' own codes of DANet, EIL, Rethinking-CAM and NL-CCAM computed.

Where such a code fails, or what it gives is undefined or a mistake, the test says what comes out
here instead.
"""
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from parity_parts import (
    SIZE,
    boxes_at,
    build,
    grad_norms,
    gradients,
    load,
    named,
    of_labels,
    rates_of,
    samples,
    vgg_layers,
)
from torch import nn

from cicam_lite import BOX_RULES, find_box, to_original
from cicam_lite.foreground import above_theta_of_percentile
from cicam_lite.resizing import resize
from cicam_mm.localization import (
    CombinationalLocalizer,
    LinearClassMaps,
    build_map_rule,
    find_boxes,
)
from cicam_mm.localization.map_rules import rank_classes
from cicam_mm.localization.overlap import box_iou
from cicam_mm.models.danet import LevelClassMaps
from cicam_mm.models.erasing import keep_mask
from cicam_mm.models.map_branch import map_branch
from cicam_mm.models.rethinking_cam import thresholded_average_pool

LEVELS = ('root', 'parent', 'child')
TOLERANCES = {
    '.*': 1e-4,
    r'rcam_whole_.*': 1e-3,
    r'.*_grad_conv1_1|danet_heads_grad_.*|eil_part_grad_features': 2e-2,
    r'.*grad_norms(_downscaled)?': 1e-2,
    r'.*(_box(es|_.*)?|_mask|_classes|_drawn2?|_ranking|_rounding)': 0,
    r'.*_gamma_(linear|quadratic)_.*': 1e-6,
}


def cam_network(reference, config):
    """A model of a config for 12 classes."""
    return build(config, lambda model: vgg_layers(model.backbone) | {
        'conv6': model.neck.conv.conv, 'fc': model.head.fc,
    }, reference.make('vgg16') | reference.make('cam_top'), **{'model.head.num_classes': 12})


def options(reference, prefix, *names):
    return [reference[f'{prefix}option_{name}'].item() for name in names]


def whole(reference):
    return reference.make('whole_images'), reference.make('whole_labels')


# --- DANet -----------------------------------------------------------------------------------
def danet_head(reference, num_maps, alpha, drawn):
    """With as many orders and families as the reference, though 12 species cannot fill them.

    ``drawn`` are the maps whose similarity counts: the reference lists the child's first, here
    they are last.
    """
    parent_of, root_of = map(torch.from_numpy, reference.make('danet_tree'))
    head = MODELS.build(dict(
        type='DANetHead', num_classes=12, hierarchy=dict(root=dict(parent=range(12))),
        num_maps=num_maps, similarity_weight=alpha))
    head.groups = torch.stack([root_of[parent_of], parent_of, torch.arange(12)])
    head.branches = nn.ModuleList(
        map_branch(channels, hidden, num_maps * groups) for channels, hidden, groups in (
            (256, 512, 11), (512, 1024, 37), (512, 1024, 12)))
    drawn = torch.from_numpy(drawn.astype(int))
    ours = (2 - drawn // num_maps) * num_maps + drawn % num_maps
    assert len(ours) == len(head._draw(3 * num_maps))
    head._draw = lambda total: ours
    return head


def danet_layers(head):
    return {f'{level}.{layer}': branch[place]
            for level, branch in zip(LEVELS, head.branches, strict=True)
            for layer, place in (('conv1', 0), ('conv2', 2), ('cls', 4))}


def danet_losses(losses, alpha):
    return dict(loss=sum(losses.values()).item(), D=losses['loss_similarity'].item() / alpha,
                ce=[2 * losses[f'loss_level{i}'].item() for i in range(3)])


def test_danet_loss_of_given_maps(author_methods):
    num_maps, alpha = options(author_methods, 'danet_maps_', 'K', 'alpha')
    labels = author_methods.make('danet_labels')
    raw, logits = (author_methods.make('danet_raw_maps', num_maps),
                   author_methods.make('danet_logits'))
    maps = [torch.from_numpy(raw[level][np.arange(3), labels[level]]).requires_grad_()
            for level in LEVELS]
    scores = [torch.from_numpy(logits[level]).requires_grad_() for level in LEVELS]
    head = danet_head(author_methods, num_maps, alpha, author_methods['danet_maps_drawn2'])
    values = dict(D2=head._similarity(maps).item(), D2_per_image=[
        head._similarity([each[i:i + 1] for each in maps]).item() for i in range(3)])
    head = danet_head(author_methods, num_maps, alpha, author_methods['danet_maps_drawn'])
    entropies = [head.loss_module(score, torch.from_numpy(labels[level]))
                 for score, level in zip(scores, LEVELS, strict=True)]
    similarity = head._similarity(maps)
    loss = sum(entropies) + alpha * similarity
    loss.backward()
    values |= dict(loss=loss.item(), D=similarity.item(),
                   ce=[2 * each.item() for each in entropies])
    for level, each, score in zip(LEVELS, maps, scores, strict=True):
        step = 2 if level == 'root' else 1
        values[f'grad_{level}'] = each.grad[..., ::step, ::step]
        values[f'grad_logits_{level}'] = score.grad
    author_methods.compare('danet_maps_', values, TOLERANCES)
    zeros = [torch.zeros_like(each, requires_grad=True) for each in maps]
    similarity = head._similarity(zeros)
    similarity.backward()
    author_methods.compare('danet_edge_', dict(
        zero_maps_D=similarity.item(),
        zero_maps_loss=(sum(entropies) + alpha * similarity).item(),
        zero_maps_grad_max=max(each.grad.abs().max().item() for each in zeros),
        constant_maps_D=head._similarity([torch.ones_like(each) for each in maps]).item(),
    ), TOLERANCES, ['danet_edge_(constant_map|K1)_.*'])


def test_danet_head(author_methods):
    num_maps, alpha = options(author_methods, 'danet_heads_', 'K', 'alpha')
    head = danet_head(author_methods, num_maps, alpha, author_methods['danet_heads_drawn'])
    layers = danet_layers(head)
    load(layers, author_methods.make('danet_heads', num_maps))
    made = author_methods.make('danet_features')
    feats = tuple(torch.from_numpy(made[level]).requires_grad_() for level in LEVELS)
    labels = author_methods.make('danet_labels')
    losses = head.loss(feats, samples(labels['child']))
    sum(losses.values()).backward()
    values = danet_losses(losses, alpha) | dict(
        grad_norms=grad_norms(layers, author_methods['danet_heads_grad_names']))
    class_maps, of_labels = head.localize(feats)[1], {}
    for level, maps, feat, each in zip(
            LEVELS, class_maps.maps, feats, head.group_maps(feats), strict=True):
        step = 2 if level == 'root' else 1
        values |= {f'logits_{level}': each.mean(dim=(2, 3, 4)),
                   f'grad_{level}': feat.grad[:, ::32, ::2, ::2],
                   f'grad_{level}_norm': feat.grad.double().norm()}
        of_labels[f'map_{level}_of_label'] = maps[
            np.arange(3), labels[level], ::step, ::step].detach()
    author_methods.compare('danet_heads_', values, TOLERANCES)
    author_methods.compare('danet_test_', of_labels | danet_boxes(
        author_methods, class_maps.maps, labels['child']), TOLERANCES)


@torch.no_grad()
def danet_boxes(reference, maps, labels):
    """The reference ranks by given probabilities."""
    made = reference.make('danet_probabilities')
    scores = [torch.from_numpy(made[level]) for level in LEVELS]
    best = rank_classes(scores[-1])[:, :5]
    ranked = LevelClassMaps(maps, scores, 5).of_classes(best)
    # as if the label were the best; the reference does not do so for class 0
    told = scores[-1].clone()
    for image, label in enumerate(labels):
        told[image, label] += 2 * bool(label)
    given = told.argmax(dim=1)
    of_given = LevelClassMaps(maps, [*scores[:2], told], 5).of_classes(given[:, None])
    size = tuple(reference['danet_test_image_size'])
    rules = [(BOX_RULES['danet'], theta) for theta in reference['danet_test_thresholds']]
    return dict(
        classes=best, gt_classes=given, image_size=size,
        map=np.stack([resize(np.asarray(each[[0, 4]]), size, 'stretched') for each in ranked]),
        boxes=np.stack([boxes_at(each, rules, size) for each in ranked]).swapaxes(1, 2),
        gt_boxes=boxes_at(of_given[:, 0], rules, size))


def test_danet_box_rule(author_methods):
    rules = [(BOX_RULES['danet'], theta) for theta in author_methods['danet_box_rule_thresholds']]
    author_methods.compare('danet_box_', dict(rule=boxes_at(
        author_methods.make('box_maps'), rules,
        tuple(author_methods['danet_test_image_size']))), TOLERANCES)


def test_danet_network(author_methods):
    num_maps, alpha = options(author_methods, 'danet_whole_', 'K', 'alpha')
    head = danet_head(author_methods, num_maps, alpha, author_methods['danet_whole_drawn'])

    def layers_of(model):
        model.head = head
        return vgg_layers(model.backbone) | danet_layers(head)

    model, layers, _ = build(
        'danet/danet_vgg16_cub.py', layers_of, author_methods.make('vgg16')
        | author_methods.make('danet_heads', num_maps), **{'model.head': None})
    images, labels = whole(author_methods)
    labels = author_methods.make('danet_labels', labels.numpy())
    feats = model.train().extract_feat(images)
    losses = head.loss(feats, samples(labels['child']))
    sum(losses.values()).backward()
    values = named('train_', danet_losses(losses, alpha)) | gradients(
        author_methods, 'danet_whole_', layers, 1)
    with torch.no_grad():
        maps = head.localize(feats)[1].maps
        for level, each, of_groups in zip(LEVELS, maps, head.group_maps(feats), strict=True):
            values[f'eval_map_{level}'] = each[np.arange(2), labels[level]]
            values[f'eval_logits_{level}'] = of_groups.mean(dim=(2, 3, 4))
    author_methods.compare('danet_whole_', values, TOLERANCES)


def test_danet_where_the_release_gives_nan(author_methods):
    for name in 'danet_edge_K1_D', 'danet_edge_K1_alpha0_loss':
        assert np.isnan(author_methods[name])
    head = danet_head(author_methods, 1, 0., np.arange(1))
    assert head._similarity([torch.rand(2, 1, 4, 4)] * 3) == 0
    assert author_methods['danet_edge_constant_map_is_nan']
    assert author_methods['danet_edge_constant_map_box'].tolist() == [0, 0, 0, 0]
    constant = np.full((1, 14, 14), 2.)
    assert find_boxes(constant, BOX_RULES['danet'], .2, SIZE, (45, 60)).tolist() == [
        [0, 0, 60, 45]]


# --- EIL -------------------------------------------------------------------------------------
def behind_pool4(model, features):
    """Scores and maps of what leaves pool 4."""
    feats = model.neck((model.backbone.features[14:](
        model.backbone.erased_copy['4'](features)), ))
    return feats, *model.head.localize(feats)


def eil_part(reference, model, layers):
    features, labels = reference.make('eil_features'), reference.make('eil_labels')
    gamma = reference['eil_option_gamma'].item()
    mask = keep_mask(features, gamma)
    features.requires_grad_()
    model.train()
    feats, scores, _ = behind_pool4(model, features)
    losses = model.head.loss(feats, samples(labels))
    sum(losses.values()).backward()
    values = dict(
        attention=features.detach().mean(dim=1), mask=mask[:, 0], logits=scores[:3],
        logits_erased=scores[3:], ce=[loss.item() for loss in losses.values()],
        loss=sum(losses.values()).item(), grad_features=features.grad[:, ::32],
        grad_features_norm=features.grad.double().norm(),
        grad_norms=grad_norms(layers, reference['eil_part_grad_names']))
    model.zero_grad()
    edges = {}
    with torch.no_grad():
        for edge, value in ('zero', 0.), ('constant', .5):
            given = torch.full((1, 512, 14, 14), value)
            scores = behind_pool4(model, given)[1]
            edges |= {f'{edge}_mask_sum': keep_mask(given, gamma).sum(),
                      f'{edge}_logits': scores[0], f'{edge}_logits_erased': scores[1]}
        above = keep_mask(features, 1.01)
        edges |= dict(gamma_above_1_same=(features * above).equal(features),
                      gamma_above_1_mask_mean=above.mean())
        model.eval()
        scores, class_maps = behind_pool4(model, features)[1:]
        same = np.allclose(scores, values['logits'].detach(), atol=1e-5)
    values |= dict(eval_logits=scores, eval_cam=of_labels(class_maps, labels) / 1024,
                   eval_equals_train=same)
    return named('part_', values) | named('edge_', edges)


def eil_whole(reference, model, layers):
    images, labels = whole(reference)
    seen = {}
    hook = model.backbone.erased_copy['4'].register_forward_hook(
        lambda module, args, out: seen.update(features=args[0].detach()))
    feats = model.train().extract_feat(images)
    hook.remove()
    losses = model.head.loss(feats, samples(labels))
    sum(losses.values()).backward()
    with torch.no_grad():
        scores, class_maps = model.head.localize((feats[0][:2], ))
        erased = model.head((feats[0][2:], ))
        mask = keep_mask(seen['features'], reference['eil_option_gamma'].item())
    return named('whole_', dict(
        eval_logits=scores, eval_cam=of_labels(class_maps, labels) / 1024,
        train_attention=seen['features'].mean(dim=1), train_mask=mask[:, 0],
        train_logits_erased=erased, train_loss=sum(losses.values()).item(),
        train_ce=[loss.item() for loss in losses.values()],
        **gradients(reference, 'eil_whole_', layers, 1)))


CLASSICAL = replace(BOX_RULES['ts_cam'], resizing='bicubic')


def test_eil(author_methods):
    model, layers, _ = cam_network(author_methods, 'eil/eil_vgg16_cub.py')
    values = eil_part(author_methods, model, layers) | eil_whole(author_methods, model, layers)
    values['parameter_count'] = sum(p.numel() for p in model.parameters())
    for name, rule in ('danet', BOX_RULES['eil']), ('classical', CLASSICAL):
        values[f'box_{name}'] = boxes_at(author_methods.make('box_maps'), [
            (rule, theta) for theta in author_methods['eil_box_thresholds']])
    author_methods.compare('eil_', values, TOLERANCES, [
        r'eil_edge_zero_map_.*', r'eil_iou(_boxes)?'])


def test_eil_map_without_foreground(author_methods):
    zeros = np.zeros((1, 14, 14))
    assert author_methods['eil_edge_zero_map_box_danet'].tolist() == [0, 0, 0, 0]
    assert find_boxes(zeros, BOX_RULES['eil'], .15, SIZE).tolist() == [[0, 0, 224, 224]]
    assert find_boxes(zeros, CLASSICAL, .2, SIZE).tolist() == [
        author_methods['eil_edge_zero_map_box_classical'].tolist()]


@pytest.mark.parametrize('method', ['eil', 'rcam'])
def test_overlap_of_boxes_that_meet(author_methods, method):
    """Of boxes apart the releases multiply two negative sides; here they do not overlap."""
    pairs, expected = author_methods[f'{method}_iou_boxes'], author_methods[f'{method}_iou']
    ours = np.array([box_iou(pair[:4], pair[4:])[0, 0] for pair in pairs])
    apart = (np.maximum(pairs[:, :2], pairs[:, 4:6]) > np.minimum(
        pairs[:, 2:4], pairs[:, 6:])).any(axis=1)
    np.testing.assert_allclose(ours[~apart], expected[~apart], rtol=1e-6)
    assert apart.any() and not ours[apart].any()


# --- Rethinking-CAM --------------------------------------------------------------------------
def pas(percentile):
    """The box rule with the percentile of the reference."""
    return replace(BOX_RULES['rethinking'], foreground=partial(
        above_theta_of_percentile, percentile=percentile))


def rcam_rules(reference):
    return [(pas(percentile), theta) for theta, percentile in
            reference['rcam_box_theta_percentile'].tolist()]


def rcam_part(reference):
    weight, bias = map(torch.from_numpy, reference.make('rcam_linear'))
    labels, upstream = reference.make('rcam_labels'), reference.make('rcam_upstream')
    values = {}
    for kind in '', 'signed_':
        features = reference.make('rcam_signed' if kind else 'rcam_features')
        for threshold in reference['rcam_option_tap_thresholds'].tolist():
            head = MODELS.build(dict(type='RethinkingCAMHead', num_classes=12, in_channels=32,
                                     tap_threshold=threshold))
            head.load_state_dict({'fc.weight': weight, 'fc.bias': bias})
            x = features.clone().requires_grad_()
            scores = head((x, ))
            scores.backward(upstream)
            pooled = thresholded_average_pool(features, threshold)
            values |= named(f'{kind}tap{round(100 * threshold):03}_', dict(
                pooled=pooled, plain_scores=scores,
                nwc_scores=F.linear(pooled, weight.clamp(min=0), bias),
                grad=x.grad[:, [0, 1, 5, 6, 7], ::2, ::2], grad_norm=x.grad.double().norm(),
                grad_weight=head.fc.weight.grad, grad_bias=head.fc.bias.grad))
    features = reference.make('rcam_features')
    cam = MODELS.build(dict(type='CAMHead', num_classes=12, in_channels=32))
    cam.load_state_dict(head.state_dict())
    gap, plain = cam.localize((features, ))
    for kind, clamp in ('plain', False), ('nwc', True):
        head.clamp_weights = clamp
        maps = of_labels(head.localize((features, ))[1], labels)
        values |= {f'{kind}_cam': maps, f'box_{kind}': boxes_at(maps, rcam_rules(reference))}
    return values | dict(
        gap_plain_scores=gap, gap_plain_cam=of_labels(plain, labels) / 14**2,
        gap_nwc_scores=F.linear(features.mean(dim=(2, 3)), weight.clamp(min=0), bias))


def rcam_whole(reference):
    model, layers, cfg = cam_network(reference, 'rethinking-cam/rethinking-cam_vgg16_cub.py')
    images, labels = whole(reference)
    feats = model.train().extract_feat(images)
    loss = model.head.loss(feats, samples(labels))['loss']
    loss.backward()
    values = dict(train_loss=loss.item(), **gradients(reference, 'rcam_whole_', layers, 1))
    _, rates = rates_of(cfg, model, layers)
    values['grad_norms_downscaled'] = [
        norm * rates[name] / rates['fc.weight']
        for norm, name in zip(values['grad_norms'], reference['rcam_whole_grad_names'].tolist(),
                              strict=True)]
    for kind, clamp in ('plain', False), ('nwc', True):
        model.head.clamp_weights = clamp
        scores, class_maps = model.head.localize(feats)
        maps = of_labels(class_maps, labels)
        values |= {'eval_logits': scores, f'eval_cam_{kind}': maps,
                   f'eval_box_{kind}': boxes_at(maps, rcam_rules(reference))}
    return named('whole_', values)


def test_rethinking_cam(author_methods):
    values = rcam_part(author_methods) | rcam_whole(author_methods)
    rules = rcam_rules(author_methods)
    author_methods.compare('rcam_', values | dict(
        box_rule=boxes_at(author_methods.make('box_maps'), rules),
        edge_zero_map_box=boxes_at(torch.zeros(1, 14, 14), rules)[0]), TOLERANCES, [
            'rcam_box_theta_percentile', 'rcam_box_rule_cuts', 'rcam_gap_default_error',
            'rcam_iou(_boxes)?'])


def test_rethinking_cam_cuts(author_methods):
    """Grey values above the cut are foreground, the cut itself is not."""
    cases = author_methods['rcam_box_theta_percentile']
    maps = resize(np.asarray(author_methods.make('box_maps')), SIZE, 'bicubic')
    for score_map, cuts in zip(maps, author_methods['rcam_box_rule_cuts'], strict=True):
        grey = (255 * (score_map - score_map.min()) / np.ptp(score_map)).astype(np.uint8)
        for (theta, percentile), cut in zip(cases, cuts, strict=True):
            assert np.array_equal(
                above_theta_of_percentile(score_map, theta, percentile), grey > cut)


# --- NL-CCAM ---------------------------------------------------------------------------------
NL_RULES = dict(t1b0=dict(map_rule='top1'), t1b1=dict(map_rule='mean', num_lowest=1),
                linear=dict(map_rule='linear'), quadratic=dict(map_rule='quadratic_two_sided'))


def nl_localizer(function, theta, split):
    options = NL_RULES[function] | (dict(split=split) if function == 'quadratic' else {})
    return CombinationalLocalizer(**options, box_rule='nl_ccam', theta=theta, frame='input')


def nl_maps(localizer, class_maps, scores, classes):
    """A map of each class (B, k); the release's `t1b1` subtracts the last map from any class's."""
    maps = []
    for chosen in classes.T:
        raised = scores.clone()
        if localizer.map_rule == 'mean':
            raised.scatter_(1, chosen[:, None], scores.max().item() + 1)
        maps.append(localizer.score_maps(class_maps, raised, chosen[:, None]))
    return torch.cat(maps, dim=1)


def test_nl_ccam(author_methods):
    ref = author_methods
    features, weight, labels = (ref.make(f'nl_{name}') for name in (
        'features', 'weights', 'labels'))
    class_maps = LinearClassMaps(features, weight)
    scores = F.linear(features.mean(dim=(2, 3)), weight)
    ranking = rank_classes(scores)
    images = [DataSample(metainfo=dict(img_shape=SIZE)) for _ in range(3)]
    values = dict(ranking=ranking, map=torch.cat([
        nl_maps(nl_localizer(function, 0., int(split)), class_maps, scores, ranking[:, :1])
        for function, split in (name.rsplit('_') for name in ref['nl_map_functions'])
    ], dim=1))
    cases = [nl_localizer(*case) for case in zip(*(
        ref[f'nl_box_{name}'].tolist() for name in ('functions', 'thresholds', 'splits')),
        strict=True)]
    for name, classes in ('top5', ranking[:, :5]), ('gt', labels[:, None]):
        boxes = np.stack([localizer.boxes(nl_maps(localizer, class_maps, scores, classes), images)
                          for localizer in cases], axis=1)
        values[f'box_{name}'] = boxes if name == 'top5' else boxes[:, :, 0]
    maps = ref.make('box_maps')
    values['box_rule'] = boxes_at(maps - maps.amin(dim=(1, 2), keepdim=True), [
        (BOX_RULES['nl_ccam'], theta) for theta in ref['nl_box_rule_thresholds']])
    values['box_rounding'] = to_original(
        np.array([[0, 0, 224, 224], [10, 21, 100, 151], [7, 3, 9, 5]]), BOX_RULES['nl_ccam'],
        SIZE, (333, 500))
    for name in ref.arrays:
        if name.startswith('nl_gamma_'):
            _, _, function, n, *split = name.split('_')
            values[name.removeprefix('nl_')] = build_map_rule(
                NL_RULES[function]['map_rule'],
                split=int(split[0].removeprefix('split')) if split else None).gamma(int(n))
    ref.compare('nl_', values, TOLERANCES, ['nl_(map|box)_functions', 'nl_box_splits',
                                            'nl_edge_.*'])


def test_nl_ccam_where_the_release_fails(author_methods):
    for edge in 'zero_features', '12_classes':
        assert author_methods[f'nl_edge_{edge}_error'] == 'ValueError'
    assert find_box(np.zeros(SIZE), BOX_RULES['nl_ccam'], .12).tolist() == [0, 0, 224, 224]
    assert build_map_rule('quadratic_two_sided').gamma(12).shape == (12, )
