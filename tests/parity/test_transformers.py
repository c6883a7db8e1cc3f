"""Every array that the authors' own codes of TS-CAM and SCM computed on a small DeiT.

Where such a code fails, the test says what comes out here instead.
"""
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from parity_parts import CONFIGS, SIZE, boxes_at, learning_rates, named, of_labels, samples

from cicam_lite.resizing import normalize_map, resize
from cicam_mm.evaluation.localization_errors import error_kind
from cicam_mm.evaluation.max_box_acc import best_ious
from cicam_mm.localization import BOX_RULES, find_boxes
from cicam_mm.localization.overlap import box_iou
from cicam_mm.models.map_branch import stretch
from cicam_mm.models.scm import calibrate, laplacian, newton_schulz, similarity
from cicam_mm.models.ts_cam import class_token_attention

TOLERANCES = {
    '.*': 1e-4,
    r'block\d+_.*|scm_train_.*': 3e-4,
    r'.*_(similarity|edge)|schulz_.*': 1e-4,
    r'scm_train_grad_.*|block\d+_.*_grad_semantic|block16_.*_grad_attention': 5e-4,
    r'.*_grad_norms': 1e-3,
    r'block4_.*_grad_attention|block\d+_.*_grad_scalars|scm_train_grad_cut': 1e-2,
    'double_.*': 1e-6,
    r'labels|.*_ids|.*_boxes|box_(ts|scm)|metric_.*|scm_(laplacian|iterations).*': 0,
}
# no gradient of the cuts behind the first block: differences of nearly equal numbers
UNSURE = ('scm1.cut', 'scm2.cut', 'scm3.cut')


def build(reference, method='ts-cam', grid=14):
    """The model of a config on the small DeiT, with the reference's weights."""
    cfg = Config.fromfile(CONFIGS / f'{method}/{method}_deit-s_cub.py').model
    cfg.backbone.pop('init_cfg')
    cfg.backbone.update(arch=reference.constant('ARCH'), img_size=16 * grid, drop_path_rate=0.)
    cfg.head.update(num_classes=12, in_channels=96)
    model = MODELS.build(cfg)
    state = named('backbone.', reference.make('mmpretrain_state', grid))
    state |= named('head.', reference.make('head'))
    if method == 'scm':
        learnt = reference.make('scalars')
        state |= {f'head.{kind}': np.concatenate([learnt[f'scm{i}.{kind}'] for i in range(4)])
                  for kind in ('balance', 'cut')}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return model


def neutral_names(reference, model):
    """Each tensor of a model, or each scalar of SCM, by the reference's name."""
    names = {}
    for name in reference.make('state'):
        ours = reference.constant('mmpretrain_name')(name) if 'semantic' not in name else name
        names[f'{"head" if name == ours else "backbone"}.{ours}'] = [name]
    for kind in ('balance', 'cut') if hasattr(model.head, 'balance') else ():
        names[f'head.{kind}'] = [f'scm{i}.{kind}' for i in range(4)]
    assert names.keys() == dict(model.named_parameters()).keys()
    return names


def gradients(reference, prefix, model):
    """Norms of all gradients, and parts of some."""
    found = {}
    for ours, names in neutral_names(reference, model).items():
        grad = model.get_parameter(ours).grad
        found.update(zip(names, grad if len(names) > 1 else [grad], strict=True))
    expected = zip(reference[f'{prefix}train_grad_names'].tolist(),
                   reference[f'{prefix}train_grad_norms'], strict=True)
    return named('grad_', dict(
        semantic_weight=found['semantic.weight'][::3, ::8], semantic_bias=found['semantic.bias'],
        patch_weight=found['patch.weight'][::24], class_token=found['class_token'],
        positions=found['positions'][:, ::7, ::8], norm_weight=found['norm.weight'],
        block0_qkv_weight=found['block0.qkv.weight'][::16, ::8],
        block3_qkv_weight=found['block3.qkv.weight'][::16, ::8],
        norms=[norm if name in UNSURE else found[name].double().norm().item()
               for name, norm in expected]))


def train_step(reference, model):
    """The loss of the reference's images, with gradients."""
    images = reference.make('images').to(next(model.parameters()).dtype)
    loss = model.train().loss(images, samples(reference.make('labels')))['loss']
    model.zero_grad()
    loss.backward()
    return loss.item()


def box_table(reference, maps, rule):
    return boxes_at(maps, [(rule, theta) for theta in reference.constant('THRESHOLDS')])


def resized(maps):
    return np.stack([normalize_map(each) for each in resize(np.asarray(maps), SIZE)])


@torch.no_grad()
def test_ts_cam_predicts(transformers):
    model = build(transformers).eval()
    backbone, seen, of_layers = model.backbone, {}, []
    backbone.layers[-1].register_forward_hook(lambda *args: seen.setdefault('raw', args[2]))
    backbone.ln1.register_forward_hook(lambda *args: seen.setdefault('tokens', args[2]))
    for layer in backbone.layers:
        layer.attn.qkv.register_forward_hook(
            lambda *args: of_layers.append(class_token_attention(args[2], 6)))
    images, labels = transformers.make('images'), transformers.make('labels')
    feats = model.extract_feat(images)
    heads = torch.stack(of_layers)
    scores, maps = model.head.localize(feats)
    ids = scores.topk(5).indices
    of_top = maps.of_classes(ids)
    both = torch.cat([maps.of_classes(labels[:, None]), of_top], dim=1)
    small = build(transformers, grid=7).eval()
    scores112, maps112 = small.head.localize(
        small.extract_feat(transformers.make('images', size=112)))
    torch.manual_seed(transformers.seed)
    uniform = [torch.rand(2, 1, 1) for _ in range(6)]
    dropping = build(transformers)
    for rate, layer in zip(torch.linspace(0, .6, 4), dropping.backbone.layers, strict=True):
        layer.attn.out_drop.drop_prob = layer.ffn.dropout_layer.drop_prob = rate.item()
    torch.manual_seed(transformers.seed)
    dropped = dropping.train()(images)
    transformers.compare('ts_', dict(
        tokens_raw=seen['raw'][:, ::5, ::6], tokens=seen['tokens'][:, 1:, ::6],
        class_token=seen['tokens'][:, 0], attention_heads=heads[:, :, ::2],
        attention_layers=heads.mean(dim=2), attention=feats[1][:, 0],
        semantic=model.head.semantic_maps(feats), logits=scores, ids=ids,
        loss=F.cross_entropy(scores, labels), map=both[:, 0], map_top5=of_top,
        map_resized=resized(both[:, 0])[:, ::9, ::9],
        boxes=np.stack([box_table(transformers, each, BOX_RULES['ts_cam']) for each in both]),
        train_logits=model.train()(images), droppath_uniform=torch.stack(uniform).view(3, 2, 2),
        droppath_logits=dropped), TOLERANCES, ['ts_train_(loss|grad_.*)'])
    transformers.compare('ts112_', dict(logits=scores112, map=maps112.maps[:, ::3]), TOLERANCES)


@pytest.mark.parametrize('method, prefix', [('ts-cam', 'ts_'), ('scm', 'scm_')])
def test_training(transformers, method, prefix):
    model = build(transformers, method)
    values = dict(loss=train_step(transformers, model)) | gradients(transformers, prefix, model)
    if method == 'scm':
        values |= dict(grad_balance=model.head.balance.grad, grad_cut=model.head.cut.grad)
    transformers.compare(f'{prefix}train_', values, TOLERANCES,
                         ['.*_train_logits', 'scm_train_block.*'])


def test_double_precision(transformers):
    images, labels = transformers.make('images').double(), transformers.make('labels')
    model = build(transformers).double().eval()
    scores, maps = model.head.localize(model.extract_feat(images))
    scm = build(transformers, 'scm').double()
    train_step(transformers, scm)
    norms = gradients(transformers, 'scm_', scm)['grad_norms']
    for i, name in enumerate(transformers['scm_train_grad_names'].tolist()):
        if name in UNSURE:
            norms[i] = scm.head.cut.grad[int(name[3])].abs().item()
    *_, attention, semantic = train_blocks(scm, images)[-1].values()
    values = dict(ts_logits=scores, ts_map=of_labels(maps, labels),
                  scm_train_logits=semantic.mean(dim=(2, 3)),
                  scm_train_block3_attention=attention.flatten(1), scm_train_grad_norms=norms,
                  scm_train_grad_balance=scm.head.balance.grad,
                  scm_train_grad_cut=scm.head.cut.grad)
    for steps in 4, 16:
        for kind in 'start', 'learnt':
            alone = block_alone(transformers, steps, kind, torch.float64)
            values[f'block{steps}_{kind}_grad_scalars'] = alone['grad_scalars']
            if steps == 4:
                values[f'block{steps}_{kind}_grad_attention'] = alone['grad_attention']
    transformers.compare('double_', values, TOLERANCES)


# --- SCM -------------------------------------------------------------------------------------
def inside(semantic, attention, balance, cut, steps):
    """What :func:`calibrate` computes, step by step."""
    edges = laplacian(14, 14, semantic) * (balance * similarity(semantic) - 1)
    inverse = newton_schulz(edges, steps)
    diffused = (inverse.mT @ attention.flatten(2).mT)[..., 0]
    scaled = diffused / (cut * attention.amax(dim=(1, 2, 3))[:, None])
    semantic_out, attention_out = calibrate(semantic, attention, balance, cut, steps)
    return dict(similarity=similarity(semantic)[:, ::15, ::15], edge=edges[:, ::28],
                inverse=inverse[:, ::28], diffused=diffused, scaled=scaled,
                shrunk=scaled - scaled.tanh(), gate=(attention_out - attention).flatten(1),
                attention=attention_out, semantic=semantic_out)


@torch.no_grad()
def train_blocks(model, images):
    """The inside of every block of a model in training."""
    feats, head, blocks = model.extract_feat(images), model.head, []
    semantic, attention = head.semantic_maps(feats), stretch(feats[1])
    for balance, cut, steps in zip(head.balance, head.cut, head.steps, strict=True):
        blocks.append(inside(semantic, attention, balance, cut, steps))
        semantic, attention = blocks[-1]['semantic'], blocks[-1]['attention']
    return blocks


def block_alone(reference, steps, kind, dtype=torch.float32):
    semantic, attention = reference.make('scm_semantic'), reference.make('scm_attention')
    upstream = [torch.from_numpy(each) for each in reference.make('scm_upstream')]
    learnt, block = reference.make('scalars'), f'scm{0 if steps == 16 else 1}'
    scalars = [1., .5] if kind == 'start' else [
        learnt[f'{block}.{name}'][0] for name in ('balance', 'cut')]
    semantic, attention = semantic.to(dtype), attention.to(dtype).view(2, 1, 14, 14)
    scalars = torch.tensor(scalars, dtype=dtype)
    for each in semantic, attention, scalars:
        each.requires_grad_()
    values = inside(semantic, attention, *scalars, steps)
    ((values['semantic'] * upstream[0].to(dtype)).sum()
     + (values['attention'].flatten(1) * upstream[1].to(dtype)).sum()).backward()
    return values | dict(attention=values['attention'].flatten(1),
                         semantic=values['semantic'][:, ::3], grad_semantic=semantic.grad[:, ::4],
                         grad_attention=attention.grad.flatten(1), grad_scalars=scalars.grad)


@pytest.mark.parametrize('steps', [4, 16])
@pytest.mark.parametrize('kind', ['start', 'learnt'])
def test_one_block_of_scm(transformers, steps, kind):
    values = block_alone(transformers, steps, kind)
    prefix = f'block{steps}_{kind}_'
    transformers.compare(prefix, values, TOLERANCES)
    if steps == 16:
        np.testing.assert_allclose(values['grad_scalars'], transformers[f'{prefix}grad_scalars'],
                                   rtol=1e-3)


def test_blocks_of_scm_in_training(transformers):
    model = build(transformers, 'scm')
    fresh = MODELS.build(dict(type='SCMHead', num_classes=12, in_channels=96))
    blocks = train_blocks(model, transformers.make('images'))
    values = dict(
        train_logits=blocks[-1]['semantic'].mean(dim=(2, 3)), iterations=fresh.steps,
        laplacian=laplacian(14, 14, torch.ones(1)), laplacian_same=np.ones(4),
        scalars_start=torch.stack([fresh.balance, fresh.cut], 1))
    for i, block in enumerate(blocks):
        block.update(attention=block['attention'].flatten(1), semantic=block['semantic'][:, ::4])
        values |= named(f'train_block{i}_', block)
    transformers.compare('scm_', values, TOLERANCES,
                         ['scm_(eval|lr|test).*', 'scm_train_(loss|grad_.*)'])


@torch.no_grad()
def test_scm_predicts(transformers):
    model = build(transformers, 'scm').eval()
    feats = model.extract_feat(transformers.make('images'))
    scores, maps = model.head.localize(feats)
    transformers.compare('scm_eval_', dict(
        logits=scores, attention=stretch(feats[1])[:, 0],
        semantic=model.head.semantic_maps(feats)[:, ::3],
        map=of_labels(maps, transformers.make('labels')),
        map_top5=maps.of_classes(torch.from_numpy(transformers['ts_ids']).long())), TOLERANCES)


def test_newton_schulz(transformers):
    matrices, upstream = map(torch.from_numpy, transformers.make('schulz_matrices'))
    matrices.requires_grad_()
    steps = transformers['schulz_iterations'].tolist()
    (newton_schulz(matrices, 4) * upstream).sum().backward()
    transformers.compare('schulz_', dict(
        inverse=torch.stack([newton_schulz(matrices[:5], each) for each in steps]),
        default=newton_schulz(matrices[:2], 5), grad=matrices.grad[:4],
        diverges=[not newton_schulz(matrices[5], 16).isfinite().all()]),
        TOLERANCES, ['schulz_iterations'])


def test_attention_of_ones(transformers):
    semantic = transformers.make('scm_semantic')
    ones = torch.ones(2, 1, 14, 14)
    attention = calibrate(semantic, ones, torch.tensor(1.), torch.tensor(.5), 4)[1]
    transformers.check(dict(edge_ones_attention=attention.flatten(1)), {'.*': 3e-4})


# --- training recipe -------------------------------------------------------------------------
@pytest.mark.parametrize('method, prefix', [('ts-cam', ''), ('scm', 'scm_')])
def test_recipe(transformers, method, prefix):
    model = build(transformers, method)
    cfg = Config.fromfile(CONFIGS / f'{method}/{method}_deit-s_cub.py')
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    plain = {id(p) for group in groups if group['weight_decay'] == 0 for p in group['params']}
    without = [name for ours, names in neutral_names(transformers, model).items()
               if id(model.get_parameter(ours)) in plain for name in names]
    assert sorted(without) == transformers[f'{prefix}no_decay_names'].tolist()
    for data in 'cub', 'ilsvrc':
        cfg = Config.fromfile(CONFIGS / f'{method}/{method}_deit-s_{data}.py')
        rates = learning_rates(cfg.param_scheduler, cfg.train_cfg.max_epochs)
        np.testing.assert_allclose(rates, transformers[f'{prefix}lr_{data}'], rtol=1e-5)


# --- boxes and metrics -----------------------------------------------------------------------
def test_box_rules(transformers):
    maps = transformers.make('box_maps')
    constant = torch.tensor([each.min() == each.max() for each in maps])
    expected = transformers['box_ts_resized']
    assert (expected[constant] == -1).all()  # NaN there, zero here
    transformers.arrays['box_ts_resized'] = np.where(expected == -1, 0, expected)
    scm = box_table(transformers, maps, replace(BOX_RULES['wsoleval'], empty=(0, 0, 0, 0)))
    failed = transformers['box_scm_error'] == 1
    assert (failed == constant.numpy()).all() and (scm[failed] == 0).all()
    scm[failed] = -1
    transformers.compare('box_', dict(
        ts=box_table(transformers, maps, BOX_RULES['ts_cam']), scm=scm,
        ts_resized=resized(maps)[:, ::20, ::20], scm_error=failed), TOLERANCES)


def test_metrics_of_ts_cam(transformers):
    scores, maps, labels, truths = transformers.make('metric_case')
    predicted = transformers['iou_predicted']
    best = np.argsort(-scores, axis=1)[:, :5]
    kinds = ('correct', 'classification_error', 'multi_instance', 'part', 'more', 'others')
    rows = []
    for theta in transformers['metric_ts_thresholds'].astype(float).round(4):
        of_images = []
        for i, label in enumerate(labels):
            boxes = find_boxes(maps[i, [label, *best[i]]], BOX_RULES['ts_cam'],
                               theta, SIZE)
            of_label, *of_best = box_iou(boxes, truths[i]).max(axis=1)
            right = best[i] == label
            hit = right & (np.array(of_best) > .5)
            kind = error_kind(right[0], boxes[1], truths[i])
            of_images.append([right[0], right.any(), hit[0], hit.any(), of_label >= .5,
                              *(kind == each for each in kinds)])
        rows.append(np.transpose(of_images))
    overlaps = [box_iou(box, truth[:1])[0, 0]
                for box, truth in zip(predicted, truths, strict=True)]
    transformers.check(dict(metric_ts=rows, iou_ts=overlaps, iou_scm=overlaps), TOLERANCES)


def test_metrics_of_scm(transformers):
    """Boxes of the predicted classes' maps, at the best threshold for the test set."""
    scores, maps, labels, truths = transformers.make('metric_case')
    best = np.argsort(-scores, axis=1)[:, :5]
    right = best == labels[:, None]
    thresholds, needed = np.arange(0, 1, .01), np.array([.3, .5, .7])
    ious = np.array([
        [best_ious(normalize_map(each), truths[i], thresholds)[0]
         for each in resize(maps[i, best[i]].astype(float), SIZE)] for i in range(len(labels))])
    fits = ious[None] >= needed[:, None, None, None]  # IoU, image, class, threshold
    first = [slice(1), slice(5)]
    det = np.stack([fits[:, :, k].any(axis=2).sum(axis=1) for k in first], axis=1)
    loc = np.stack([(fits & right[None, :, :, None])[:, :, k].any(axis=2).sum(axis=1)
                    for k in first], axis=1)
    cls = [right[:, k].any(axis=1).sum() for k in first]
    share = 100 / len(labels)
    values = {f'cls_acc_top-{k}': cls[i] * share for i, k in enumerate((1, 5))}
    for i, k in enumerate((1, 5)):
        values[f'GT-Known_top-{k}'] = det[1, i].max() * share
        for j, iou in enumerate((30, 50, 70)):
            key = f'thr_{iou}.00_top-{k}'
            values |= {f'maxbox_acc_{key}': det[j, i].max() * share,
                       f'det_optThred_{key}': thresholds[det[j, i].argmax()],
                       f'loc_acc_{key}': loc[j, i].max() * share,
                       f'loc_optThred_{key}': thresholds[loc[j, i].argmax()]}
    names = transformers['metric_scm_names'].tolist()
    transformers.check(dict(metric_scm_det=det, metric_scm_loc=loc, metric_scm_cls=cls),
                       TOLERANCES)
    transformers.check(dict(metric_scm=[values[name] for name in names]), {'.*': 1e-6})
