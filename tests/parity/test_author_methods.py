"""Every array that the authors' own codes of DANet, EIL, Rethinking-CAM and NL-CCAM computed.

Where such a code fails, or what it gives is undefined or a mistake, the test says what comes out
here instead.
"""
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from parity_parts import SIZE, VGG, boxes_at, samples
from torch import nn

from cicam_lite import BOX_RULES, find_box, to_original
from cicam_lite.foreground import above_theta_of_percentile
from cicam_lite.resizing import bicubic, stretched
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

CONFIGS = Path(__file__).parents[2] / 'configs'
LEVELS = ('root', 'parent', 'child')
TOLERANCES = {
    '.*': 1e-4,
    r'rcam_whole_.*': 1e-3,
    r'.*_grad_conv1_1|danet_heads_grad_.*|eil_part_grad_features': 2e-2,
    r'.*grad_norms(_downscaled)?': 1e-2,
    r'.*(_box(es|_.*)?|_mask|_classes|_drawn2?|_ranking|_rounding)': 0,
    r'.*_gamma_(linear|quadratic)_.*': 1e-6,
}
OTHER = ('.*_option_.*', '.*_names', '.*_commit', '.*_thresholds', '.*_drawn2?')


@pytest.fixture(scope='module')
def build(author_methods):
    """A model of a config, for 12 classes and with the weights of the reference."""
    modules = {name: f'backbone.features.{place}.conv' for name, place in VGG.items()} | dict(
        conv6='neck.conv.conv', fc='head.fc')

    def build(config, head=None):
        cfg = Config.fromfile(CONFIGS / config).model
        cfg.backbone.pop('init_cfg')
        if head is None:
            cfg.head.num_classes = 12
        else:
            cfg.pop('head')
        model = MODELS.build(cfg)
        state = author_methods.make('vgg16')
        if head is None:
            state |= author_methods.make('cam_top')
        model.load_state_dict({own_name(modules, name): torch.from_numpy(value)
                               for name, value in state.items()})
        if head is not None:
            model.head = head
        return model, modules

    return build


def own_name(modules, name):
    module, _, parameter = name.rpartition('.')
    return f'{modules[module]}.{parameter}'


def gradients(reference, prefix, model, modules):
    """Norms of a model's gradients, and that of its first layer, by the reference's names."""
    parameters = dict(model.named_parameters())
    norms = [parameters[own_name(modules, name)].grad.double().norm()
             for name in reference[f'{prefix}_grad_names'].tolist()]
    return {f'{prefix}_grad_norms': norms,
            f'{prefix}_grad_conv1_1': parameters['backbone.features.0.conv.weight'].grad}


def boxes_of(maps, rule, theta, size=SIZE, ori_shape=None):
    """A box for each of the maps (k, h, w)."""
    return find_boxes(np.asarray(maps), rule, theta, size, ori_shape)


def whole(reference):
    return reference.make('whole_images'), reference.make('whole_labels')


# --- DANet -----------------------------------------------------------------------------------
def danet_head(reference, num_maps, alpha, weights=True):
    """With as many orders and families as the reference, though 12 species cannot fill them."""
    parent_of, root_of = map(torch.from_numpy, reference.make('danet_tree'))
    head = MODELS.build(dict(
        type='DANetHead', num_classes=12, hierarchy=dict(root=dict(parent=range(12))),
        num_maps=num_maps, similarity_weight=alpha))
    head.groups = torch.stack([root_of[parent_of], parent_of, torch.arange(12)])
    if not weights:
        return head
    head.branches = nn.ModuleList(
        map_branch(channels, hidden, num_maps * groups) for channels, hidden, groups in (
            (256, 512, 11), (512, 1024, 37), (512, 1024, 12)))
    modules = danet_modules('')
    head.load_state_dict({own_name(modules, name): torch.from_numpy(value)
                          for name, value in reference.make('danet_heads', num_maps).items()})
    return head


def danet_modules(prefix):
    return {f'{level}.{layer}': f'{prefix}branches.{i}.{place}'
            for i, level in enumerate(LEVELS)
            for layer, place in (('conv1', 0), ('conv2', 2), ('cls', 4))}


def fix_draw(head, drawn, num_maps):
    """The reference lists the child's maps first, here they are last."""
    drawn = torch.from_numpy(drawn.astype(int))
    ours = (2 - drawn // num_maps) * num_maps + drawn % num_maps
    assert len(ours) == len(head._draw(3 * num_maps))
    head._draw = lambda total: ours


def danet_losses(prefix, losses, alpha):
    return {f'{prefix}loss': sum(losses.values()).item(),
            f'{prefix}D': losses['loss_similarity'].item() / alpha,
            f'{prefix}ce': [2 * losses[f'loss_level{i}'].item() for i in range(3)]}


def danet_loss_of_given_maps(reference):
    num_maps, alpha = (reference[f'danet_maps_option_{name}'].item() for name in ('K', 'alpha'))
    head = danet_head(reference, num_maps, alpha, weights=False)
    labels = reference.make('danet_labels')
    raw, logits = reference.make('danet_raw_maps', num_maps), reference.make('danet_logits')
    maps = [torch.from_numpy(raw[level][np.arange(3), labels[level]]).requires_grad_()
            for level in LEVELS]
    scores = [torch.from_numpy(logits[level]).requires_grad_() for level in LEVELS]
    entropies = [head.loss_module(score, torch.from_numpy(labels[level]))
                 for score, level in zip(scores, LEVELS, strict=True)]
    fix_draw(head, reference['danet_maps_drawn2'], num_maps)
    values = dict(danet_maps_D2=head._similarity(maps).item(), danet_maps_D2_per_image=[
        head._similarity([each[i:i + 1] for each in maps]).item() for i in range(3)])
    del head._draw
    fix_draw(head, reference['danet_maps_drawn'], num_maps)
    similarity = head._similarity(maps)
    loss = sum(entropies) + alpha * similarity
    loss.backward()
    values |= dict(danet_maps_loss=loss.item(), danet_maps_D=similarity.item(),
                   danet_maps_ce=[2 * each.item() for each in entropies])
    for level, each, score in zip(LEVELS, maps, scores, strict=True):
        step = 2 if level == 'root' else 1
        values[f'danet_maps_grad_{level}'] = each.grad[..., ::step, ::step]
        values[f'danet_maps_grad_logits_{level}'] = score.grad
    zeros = [torch.zeros_like(each, requires_grad=True) for each in maps]
    similarity = head._similarity(zeros)
    similarity.backward()
    ones = head._similarity([torch.ones_like(each) for each in maps])
    return values | dict(
        danet_edge_zero_maps_D=similarity.item(),
        danet_edge_zero_maps_loss=(sum(entropies) + alpha * similarity).item(),
        danet_edge_zero_maps_grad_max=max(each.grad.abs().max().item() for each in zeros),
        danet_edge_constant_maps_D=ones.item())


def danet_heads(reference):
    num_maps, alpha = (reference[f'danet_heads_option_{name}'].item() for name in ('K', 'alpha'))
    head = danet_head(reference, num_maps, alpha)
    made = reference.make('danet_features')
    feats = tuple(torch.from_numpy(made[level]).requires_grad_() for level in LEVELS)
    labels = reference.make('danet_labels')
    fix_draw(head, reference['danet_heads_drawn'], num_maps)
    losses = head.loss(feats, samples(labels['child']))
    sum(losses.values()).backward()
    values = danet_losses('danet_heads_', losses, alpha)
    scores, class_maps = head.localize(feats)
    parameters = dict(head.named_parameters())
    values['danet_heads_grad_norms'] = [
        parameters[own_name(danet_modules(''), name)].grad.double().norm()
        for name in reference['danet_heads_grad_names'].tolist()]
    for level, maps, feat, each in zip(
            LEVELS, class_maps.maps, feats, head.group_maps(feats), strict=True):
        step = 2 if level == 'root' else 1
        values |= {
            f'danet_heads_logits_{level}': each.mean(dim=(2, 3, 4)).detach(),
            f'danet_heads_grad_{level}': feat.grad[:, ::32, ::2, ::2],
            f'danet_heads_grad_{level}_norm': feat.grad.double().norm(),
            f'danet_test_map_{level}_of_label':
                maps[np.arange(3), labels[level], ::step, ::step].detach()}
    return values | danet_boxes(reference, class_maps.maps, labels['child'])


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
    size, rule = tuple(reference['danet_test_image_size']), BOX_RULES['danet']
    thetas = reference['danet_test_thresholds']

    def boxes(maps):
        return np.stack([[boxes_of(of_image, rule, theta, SIZE, size) for theta in thetas]
                         for of_image in maps])

    return dict(
        danet_test_classes=best, danet_test_gt_classes=given,
        danet_test_map=np.stack([stretched(np.asarray(each[[0, 4]]), size) for each in ranked]),
        danet_test_boxes=boxes(ranked), danet_test_gt_boxes=boxes(of_given)[:, :, 0],
        danet_test_image_size=size,
        danet_box_rule=np.stack([
            boxes_of(reference.make('box_maps'), rule, theta, SIZE, size)
            for theta in reference['danet_box_rule_thresholds']], axis=1))


def danet_whole(reference, build):
    num_maps, alpha = (reference[f'danet_whole_option_{name}'].item() for name in ('K', 'alpha'))
    model, modules = build('danet/danet_vgg16_cub.py', danet_head(reference, num_maps, alpha))
    images, labels = whole(reference)
    labels = reference.make('danet_labels', labels.numpy())
    model.train()
    fix_draw(model.head, reference['danet_whole_drawn'], num_maps)
    feats = model.extract_feat(images)
    losses = model.head.loss(feats, samples(labels['child']))
    sum(losses.values()).backward()
    values = danet_losses('danet_whole_train_', losses, alpha) | gradients(
        reference, 'danet_whole', model, modules | danet_modules('head.'))
    with torch.no_grad():
        maps = model.head.localize(feats)[1].maps
        for level, each, of_groups in zip(
                LEVELS, maps, model.head.group_maps(feats), strict=True):
            values[f'danet_whole_eval_map_{level}'] = each[np.arange(2), labels[level]]
            values[f'danet_whole_eval_logits_{level}'] = of_groups.mean(dim=(2, 3, 4))
    return values


def test_danet(author_methods, build):
    values = (danet_loss_of_given_maps(author_methods) | danet_heads(author_methods)
              | danet_whole(author_methods, build))
    author_methods.compare('danet_', values, TOLERANCES, [
        *OTHER, r'danet_edge_constant_map_.*', r'danet_edge_K1_.*'])


def test_danet_where_the_release_gives_nan(author_methods):
    for name in 'danet_edge_K1_D', 'danet_edge_K1_alpha0_loss':
        assert np.isnan(author_methods[name])
    head = danet_head(author_methods, 1, 0., weights=False)
    assert head._similarity([torch.rand(2, 1, 4, 4)] * 3) == 0
    assert author_methods['danet_edge_constant_map_is_nan']
    assert author_methods['danet_edge_constant_map_box'].tolist() == [0, 0, 0, 0]
    constant = torch.full((1, 14, 14), 2.)
    assert boxes_of(constant, BOX_RULES['danet'], .2, SIZE, (45, 60)).tolist() == [[0, 0, 60, 45]]


# --- EIL -------------------------------------------------------------------------------------
def behind_pool4(model, features):
    """Scores and maps of what leaves pool 4."""
    feats = model.neck((model.backbone.features[14:](
        model.backbone.erased_copy['4'](features)), ))
    return feats, *model.head.localize(feats)


def eil_part(reference, model, modules):
    features, labels = reference.make('eil_features'), reference.make('eil_labels')
    gamma = reference['eil_option_gamma'].item()
    mask = keep_mask(features, gamma)
    features.requires_grad_()
    model.train()
    feats, scores, _ = behind_pool4(model, features)
    losses = model.head.loss(feats, samples(labels))
    sum(losses.values()).backward()
    parameters = dict(model.named_parameters())
    values = dict(
        eil_part_attention=features.detach().mean(dim=1), eil_part_mask=mask[:, 0],
        eil_part_logits=scores[:3].detach(), eil_part_logits_erased=scores[3:].detach(),
        eil_part_ce=[loss.item() for loss in losses.values()],
        eil_part_loss=sum(losses.values()).item(),
        eil_part_grad_features=features.grad[:, ::32],
        eil_part_grad_features_norm=features.grad.double().norm(),
        eil_part_grad_norms=[parameters[own_name(modules, name)].grad.double().norm()
                             for name in reference['eil_part_grad_names'].tolist()])
    with torch.no_grad():
        for edge, value in ('zero', 0.), ('constant', .5):
            given = torch.full((1, 512, 14, 14), value)
            scores = behind_pool4(model, given)[1]
            values |= {f'eil_edge_{edge}_mask_sum': keep_mask(given, gamma).sum(),
                       f'eil_edge_{edge}_logits': scores[0],
                       f'eil_edge_{edge}_logits_erased': scores[1]}
        above = keep_mask(features, 1.01)
        values |= dict(eil_edge_gamma_above_1_same=(features * above).equal(features),
                       eil_edge_gamma_above_1_mask_mean=above.mean())
        model.eval()
        scores, class_maps = behind_pool4(model, features)[1:]
        values |= dict(
            eil_part_eval_logits=scores, eil_part_eval_cam=cams(class_maps, labels) / 1024,
            eil_part_eval_equals_train=np.allclose(scores, values['eil_part_logits'], atol=1e-5))
    model.zero_grad()
    return values


def cams(class_maps, labels):
    return class_maps.of_classes(labels[:, None])[:, 0].detach()


def eil_whole(reference, model, modules):
    images, labels = whole(reference)
    seen = {}
    hook = model.backbone.erased_copy['4'].register_forward_hook(
        lambda module, args, out: seen.update(features=args[0].detach()))
    model.train()
    feats = model.extract_feat(images)
    hook.remove()
    losses = model.head.loss(feats, samples(labels))
    sum(losses.values()).backward()
    with torch.no_grad():
        scores, class_maps = model.head.localize((feats[0][:2], ))
        erased = model.head((feats[0][2:], ))
        mask = keep_mask(seen['features'], reference['eil_option_gamma'].item())
    return dict(
        eil_whole_eval_logits=scores, eil_whole_eval_cam=cams(class_maps, labels) / 1024,
        eil_whole_train_attention=seen['features'].mean(dim=1),
        eil_whole_train_mask=mask[:, 0], eil_whole_train_logits_erased=erased,
        eil_whole_train_loss=sum(losses.values()).item(),
        eil_whole_train_ce=[loss.item() for loss in losses.values()],
        eil_parameter_count=sum(p.numel() for p in model.parameters()),
        **gradients(reference, 'eil_whole', model, modules))


def box_table(reference, rules, maps=None):
    """Boxes of each map by (rule, theta)."""
    return boxes_at(reference.make('box_maps') if maps is None else maps, rules)


CLASSICAL = replace(BOX_RULES['ts_cam'], resizing='bicubic')


def test_eil(author_methods, build):
    model, modules = build('eil/eil_vgg16_cub.py')
    values = eil_part(author_methods, model, modules) | eil_whole(author_methods, model, modules)
    for name, rule in ('danet', BOX_RULES['eil']), ('classical', CLASSICAL):
        values[f'eil_box_{name}'] = box_table(author_methods, [
            (rule, theta) for theta in author_methods['eil_box_thresholds']])
    author_methods.compare('eil_', values, TOLERANCES, [
        *OTHER, r'eil_edge_zero_map_.*', r'eil_iou(_boxes)?'])


def test_eil_map_without_foreground(author_methods):
    zeros = torch.zeros(1, 14, 14)
    assert author_methods['eil_edge_zero_map_box_danet'].tolist() == [0, 0, 0, 0]
    assert boxes_of(zeros, BOX_RULES['eil'], .15).tolist() == [[0, 0, 224, 224]]
    assert boxes_of(zeros, CLASSICAL, .2).tolist() == [
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
            key = f'rcam_{kind}tap{round(100 * threshold):03}'
            head = MODELS.build(dict(type='RethinkingCAMHead', num_classes=12, in_channels=32,
                                     tap_threshold=threshold))
            head.load_state_dict({'fc.weight': weight, 'fc.bias': bias})
            x = features.clone().requires_grad_()
            scores = head((x, ))
            scores.backward(upstream)
            pooled = thresholded_average_pool(features, threshold)
            values |= {
                f'{key}_pooled': pooled, f'{key}_plain_scores': scores.detach(),
                f'{key}_nwc_scores': F.linear(pooled, weight.clamp(min=0), bias),
                f'{key}_grad': x.grad[:, [0, 1, 5, 6, 7], ::2, ::2],
                f'{key}_grad_norm': x.grad.double().norm(),
                f'{key}_grad_weight': head.fc.weight.grad, f'{key}_grad_bias': head.fc.bias.grad}
    features = reference.make('rcam_features')
    cam = MODELS.build(dict(type='CAMHead', num_classes=12, in_channels=32))
    cam.load_state_dict(head.state_dict())
    gap, plain = cam.localize((features, ))
    for kind, clamp in ('plain', False), ('nwc', True):
        head.clamp_weights = clamp
        maps = cams(head.localize((features, ))[1], labels)
        values |= {f'rcam_{kind}_cam': maps,
                   f'rcam_box_{kind}': box_table(reference, rcam_rules(reference), maps)}
    return values | dict(
        rcam_gap_plain_scores=gap.detach(), rcam_gap_plain_cam=cams(plain, labels) / 14**2,
        rcam_gap_nwc_scores=F.linear(features.mean(dim=(2, 3)), weight.clamp(min=0), bias))


def rcam_whole(reference, build):
    model, modules = build('rethinking-cam/rethinking-cam_vgg16_cub.py')
    images, labels = whole(reference)
    model.train()
    feats = model.extract_feat(images)
    losses = model.head.loss(feats, samples(labels))
    losses['loss'].backward()
    values = dict(rcam_whole_train_loss=losses['loss'].item(),
                  **gradients(reference, 'rcam_whole', model, modules))
    rates = Config.fromfile(CONFIGS / 'rethinking-cam/rethinking-cam_vgg16_cub.py')
    rate = rates.optim_wrapper.paramwise_cfg.custom_keys['backbone'].lr_mult
    values['rcam_whole_grad_norms_downscaled'] = [
        norm * (rate if modules[name.rpartition('.')[0]].startswith('backbone') else 1)
        for norm, name in zip(values['rcam_whole_grad_norms'],
                              reference['rcam_whole_grad_names'].tolist(), strict=True)]
    for kind, clamp in ('plain', False), ('nwc', True):
        model.head.clamp_weights = clamp
        scores, class_maps = model.head.localize(feats)
        maps = cams(class_maps, labels)
        boxes = box_table(reference, rcam_rules(reference), maps)
        values |= {'rcam_whole_eval_logits': scores.detach(),
                   f'rcam_whole_eval_cam_{kind}': maps, f'rcam_whole_eval_box_{kind}': boxes}
    return values


def test_rethinking_cam(author_methods, build):
    values = rcam_part(author_methods) | rcam_whole(author_methods, build)
    rules = rcam_rules(author_methods)
    values |= dict(
        rcam_box_rule=box_table(author_methods, rules),
        rcam_edge_zero_map_box=box_table(author_methods, rules, torch.zeros(1, 14, 14))[0])
    author_methods.compare('rcam_', values, TOLERANCES, [
        *OTHER, 'rcam_box_theta_percentile', 'rcam_box_rule_cuts', 'rcam_gap_default_error',
        'rcam_iou(_boxes)?'])


def test_rethinking_cam_cuts(author_methods):
    """Grey values above the cut are foreground, the cut itself is not."""
    cases = author_methods['rcam_box_theta_percentile']
    for score_map, cuts in zip(bicubic(np.asarray(author_methods.make('box_maps')), SIZE),
                               author_methods['rcam_box_rule_cuts'], strict=True):
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
    features, weight = author_methods.make('nl_features'), author_methods.make('nl_weights')
    labels = author_methods.make('nl_labels')
    class_maps = LinearClassMaps(features, weight)
    scores = F.linear(features.mean(dim=(2, 3)), weight)
    ranking = rank_classes(scores)
    samples = [DataSample(metainfo=dict(img_shape=SIZE)) for _ in range(3)]
    values = dict(nl_ranking=ranking, nl_map=torch.cat([
        nl_maps(nl_localizer(function, 0., int(split)), class_maps, scores, ranking[:, :1])
        for function, split in (name.rsplit('_') for name in author_methods['nl_map_functions'])
    ], dim=1))
    cases = [nl_localizer(*case) for case in zip(
        author_methods['nl_box_functions'].tolist(), author_methods['nl_box_thresholds'].tolist(),
        author_methods['nl_box_splits'].tolist(), strict=True)]
    for name, classes in ('top5', ranking[:, :5]), ('gt', labels[:, None]):
        boxes = np.stack([localizer.boxes(nl_maps(localizer, class_maps, scores, classes), samples)
                          for localizer in cases], axis=1)
        values[f'nl_box_{name}'] = boxes if name == 'top5' else boxes[:, :, 0]
    maps = author_methods.make('box_maps')
    values['nl_box_rule'] = box_table(author_methods, [
        (BOX_RULES['nl_ccam'], theta) for theta in author_methods['nl_box_rule_thresholds']
    ], maps - maps.amin(dim=(1, 2), keepdim=True))
    values['nl_box_rounding'] = to_original(
        np.array([[0, 0, 224, 224], [10, 21, 100, 151], [7, 3, 9, 5]]), BOX_RULES['nl_ccam'],
        SIZE, (333, 500))
    for name in author_methods.arrays:
        if name.startswith('nl_gamma_'):
            _, _, function, n, *split = name.split('_')
            values[name] = build_map_rule(
                NL_RULES[function]['map_rule'],
                split=int(split[0].removeprefix('split')) if split else None).gamma(int(n))
    author_methods.compare('nl_', values, TOLERANCES, [
        *OTHER, 'nl_(map|box)_functions', 'nl_box_splits', 'nl_edge_.*'])


def test_nl_ccam_where_the_release_fails(author_methods):
    for edge in 'zero_features', '12_classes':
        assert author_methods[f'nl_edge_{edge}_error'] == 'ValueError'
    assert find_box(np.zeros(SIZE), BOX_RULES['nl_ccam'], .12).tolist() == [0, 0, 224, 224]
    assert build_map_rule('quadratic_two_sided').gamma(12).shape == (12, )
