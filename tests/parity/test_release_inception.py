"""Every number that the released model computes on InceptionV3.

``-rP`` shows the deviations.
"""
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from parity_parts import learning_rates as epoch_rates

from cicam_mm.localization import CombinationalLocalizer, DenseClassMaps, LinearClassMaps
from cicam_mm.models.map_branch import upsample

CONFIG = Path(__file__).parents[2] / 'configs' / 'cicam_inceptionv3_cub_release.py'
INPUTS = {'seed', 'num_classes', 'batch', 'versions', 'gt_labels', 'lr_epochs', 'grad_names',
          'train_image_seeds', 'eval_feat_names', 'proto_image_sizes'}
SIZE = 299
# Of the features every c-th channel and r-th row and column is stored.
STEPS = {
    'Conv2d_1a_3x3': (8, 8), 'Conv2d_2b_3x3': (16, 8), 'maxpool1': (16, 4),
    'Conv2d_4a_3x3': (48, 4), 'maxpool2': (48, 2), 'Mixed_5b': (32, 3), 'Mixed_5c': (36, 3),
    'Mixed_5d': (36, 3), 'Mixed_6a': (96, 1), 'Mixed_6b': (96, 1), 'Mixed_6c': (96, 1),
    'Mixed_6d': (96, 1), 'Mixed_6e': (32, 1),
}
# The map rules as the reference's keys name them.
RULES = dict(quadratic='quadratic', linear='linear', mean='mean', sum_1='weighted_mean',
             top1cam='top1')
# Patterns of keys and the largest deviation allowed, relative to the largest value of an array or,
# of norms, to each; the last one that fits counts.
TOLERANCES = {
    r'.*_(feat_\w+|logits|cam|loss|loss_parts|running_\w+)': 2e-4,
    r'(\w+_)?map_\w+': 2e-4,
    r'train\d_(pool|grad_(classifier|context)_\w+)': 3e-4,
    r'train\d_grad_norms': 3e-2,
    r'train\d_grad_(first_conv|6e_\w+)': 5e-2,
    r'.*(_ids|_seen|_batches_\w+|_shapes)|(\w+_)?box_.*': 0,
    r'double_\w+': 1e-6,
    r'lr': 1e-6,
}
# Whose gradients are stored, with their names here, and which part.
GRADIENTS = {
    'classifier_weight': ('head.fc.weight', np.s_[:, ::8]),
    'classifier_bias': ('head.fc.bias', np.s_[:]),
    'context_weight': ('head.pool.projection.weight', np.s_[::8, :, 0, 0]),
    'context_bias': ('head.pool.projection.bias', np.s_[::8]),
    'first_conv': ('backbone.Conv2d_1a_3x3.conv.weight', np.s_[:]),
    '6e_branch1x1_conv': ('backbone.Mixed_6e.branch1x1.conv.weight', np.s_[::16, ::16, 0, 0]),
}


@pytest.fixture(scope='module')
def inputs(inception_reference, shared):
    """Functions that make weights and images, and what the reference made them for."""
    made = SimpleNamespace(**runpy.run_path(
        str(shared / 'parity' / 'release_inception_state_dict.py')))
    made.seed, made.num_classes, made.batch = (
        int(inception_reference[key]) for key in ('seed', 'num_classes', 'batch'))
    made.images = made.release_inception_images(made.seed, made.batch)
    return made


@pytest.fixture(scope='module')
def checkpoint(inputs, run_tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp('release')
    inputs.write_release_inception(folder, inputs.seed, inputs.num_classes)
    net, pool, out = (folder / name for name in (
        'net_train_inceptionV3_cub.pth', 'mask_train_inceptionV3_cub.pth', 'converted.pth'))
    run_tool('convert_release.py', net, '--pool', pool, out)
    return out


@pytest.fixture(scope='module')
def build(checkpoint, inputs):

    def build(dtype):
        cfg = Config.fromfile(CONFIG).model
        cfg.backbone.pop('init_cfg')
        cfg.head.num_classes = inputs.num_classes
        cfg.head.localizer.frame = 'input'
        model = MODELS.build(cfg)
        load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
        return model.to(dtype)

    return build


@pytest.fixture(scope='module')
def values(build, inputs, inception_reference):
    """All that the reference has, computed here in float32 and, where it has that, in float64."""
    values = dict(made(inputs), lr=learning_rates(inception_reference['lr_epochs']))
    for dtype, prefix in (torch.float32, ''), (torch.float64, 'double_'):
        model = build(dtype)
        computed = evaluated(model.eval(), inputs, inception_reference, dtype)
        model.head.pool.pool.zero_()
        computed |= trained(model.train(), inputs, inception_reference, dtype)
        values |= {prefix + key: value for key, value in computed.items()
                   if not prefix or prefix + key in inception_reference}
    return {key: np.asarray(value) for key, value in values.items()}


@torch.no_grad()
def evaluated(model, inputs, reference, dtype):
    head, weight = model.head, model.head.fc.weight
    images = inputs.images.to(dtype)
    values = {}

    def look(name):
        channels, step = STEPS[name]

        def hook(module, args, out):
            values[f'eval_feat_{name}'] = out[:, ::channels, ::step, ::step]
            shapes[name] = out.shape[1:]

        return getattr(model.backbone, name).register_forward_hook(hook)

    shapes = {}
    hooks = [look(name) for name in reference['eval_feat_names']]
    features, = model.extract_feat(images)
    for hook in hooks:
        hook.remove()
    values['eval_feat_shapes'] = [shapes[name] for name in reference['eval_feat_names']]
    initial, enhanced = head.branches(features)
    final = head.classify(enhanced)
    values['eval_feat_final'] = enhanced[:, ::32]
    everything = torch.arange(inputs.num_classes).expand(inputs.batch, -1)
    branches = dict(initial=(initial, LinearClassMaps(features, weight)),
                    final=(final, LinearClassMaps(enhanced, weight)))
    for branch, (scores, class_maps) in branches.items():
        values[f'eval_{branch}_logits'] = scores
        values[f'eval_{branch}_ids'] = scores.argsort(dim=1, descending=True)
        values[f'eval_{branch}_cam'] = class_maps.of_classes(everything)
    empty = model.head.pool.pool.clone()
    head.pool.pool.zero_()
    values['eval_zero_pool_final_logits'] = head.classify(head.branches(features)[1])
    head.pool.pool.copy_(empty)
    crops = model(inputs.release_inception_images(inputs.seed + 1000, inputs.batch).to(dtype))
    values['proto_crop_final_logits'] = crops
    values['proto_crop_final_ids'] = crops.argsort(dim=1, descending=True)

    samples = [DataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=tuple(size)))
               for size in reference['proto_image_sizes']]
    classes = dict(top1cam=final.topk(5).indices,
                   gtcam=torch.from_numpy(reference['gt_labels'])[:, None].long())
    shared = r'(?P<rule>quadratic|linear|mean|sum_1)(_(?P<m>\d+))?'
    for key in reference:
        if match := re.fullmatch(rf'(?P<of>proto_|)map_{shared}', key):
            scores = crops if match['of'] else final
            values[key] = localize(match, branches['final'][1], scores, samples)[0][:, 0]
        elif match := re.fullmatch(rf'box_(?P<of>initial_|){shared}_(?P<theta>[\d.]+)', key):
            scores, class_maps = branches['initial' if match['of'] else 'final']
            values[key] = localize(match, class_maps, scores, samples)[1][:, 0]
        elif match := re.fullmatch(r'box_(?P<rule>top1cam|gtcam)_(?P<theta>[\d.]+)', key):
            boxes = localize(match, branches['final'][1], final, samples,
                             classes[match['rule']])[1]
            values[key] = boxes.reshape(reference[key].shape)
        elif match := re.fullmatch(r'proto_box_(?P<frame>image_|)(?P<theta>[\d.]+)', key):
            head.localizer = CombinationalLocalizer(
                'quadratic', theta=float(match['theta']),
                frame='original' if match['frame'] else 'input')
            predicted = head.predict((features, ), samples, ranking_scores=crops)
            values[key] = torch.stack([sample.pred_box for sample in predicted])
    resized = upsample(torch.as_tensor(values['map_quadratic'])[:, None], (SIZE, SIZE))[:, 0]
    values |= dict(map_quadratic_up=resized[:, ::13, ::13],
                   map_quadratic_up_mean=resized.mean(dim=(1, 2)),
                   map_quadratic_up_max=resized.amax(dim=(1, 2)))
    return values


def localize(match, class_maps, scores, samples, classes=None):
    found = match.groupdict()
    localizer = CombinationalLocalizer(
        RULES.get(found['rule'], 'top1'), theta=float(found.get('theta') or 0),
        num_lowest=int(found.get('m') or 5), frame='input')
    maps = localizer.score_maps(class_maps, scores, classes)
    return maps, localizer.boxes(maps, samples)


def made(inputs):
    """Maps and boxes of CAMs that were made up, with an object in them."""
    cams, ranking = inputs.release_inception_cams(inputs.seed, 8, inputs.num_classes)
    scores = torch.zeros(ranking.shape).scatter(
        1, ranking, torch.arange(0., -inputs.num_classes, -1).expand(8, -1))
    samples = [DataSample(metainfo=dict(img_shape=(SIZE, SIZE)))] * 8
    values = {}
    for rule in RULES:
        for theta in '0.0', '0.1', '0.3', '0.5':
            maps, boxes = localize(
                re.fullmatch('(?P<rule>.+):(?P<theta>.+)', f'{rule}:{theta}'),
                DenseClassMaps(cams), scores, samples, ranking[:, :1])
            values[f'made_box_{rule}_{theta}'] = boxes[:, 0]
            if rule == 'quadratic':
                values['made_map_quadratic'] = maps[:, 0]
    return values


def trained(model, inputs, reference, dtype):
    """Two training steps in a row, without an optimizer."""
    head, values = model.head, {}
    head.pool.has_updater = True
    for step, seed in enumerate(reference['train_image_seeds'].tolist()):
        labels = reference[f'train{step}_labels']
        images = inputs.release_inception_images(seed, len(labels)).to(dtype)
        feats = model.extract_feat(images)
        losses = head.loss(feats, [DataSample().set_gt_label(int(label)) for label in labels])
        model.zero_grad()
        sum(losses.values()).backward()
        with torch.no_grad():
            initial, enhanced = head.branches(feats[0])
            final = head.classify(enhanced)
            classes, maps = head.pool.take_pending()
            head.pool.update(classes, maps)
        parameters = dict(model.named_parameters())
        values |= {f'train{step}_{name}': value for name, value in dict(
            labels=labels, loss=sum(losses.values()).detach(),
            loss_parts=[losses[f'loss_{branch}'].item() for branch in ('initial', 'enhanced')],
            initial_logits=initial, final_logits=final,
            initial_ids=initial.argsort(dim=1, descending=True),
            seen=sorted(set(classes.tolist()) - {inputs.num_classes}),
            pool=head.pool.pool.clone(),
            grad_norms=[parameters[own_name(name)].grad.double().norm()
                        for name in reference['grad_names'].tolist()],
            **{f'grad_{name}': parameters[key].grad[part].clone()
               for name, (key, part) in GRADIENTS.items()},
            **{f'{ours}_{at}': getattr(unit.bn, theirs).clone()
               for at, unit in (('1a', model.backbone.Conv2d_1a_3x3),
                                ('6e_branch1x1', model.backbone.Mixed_6e.branch1x1))
               for ours, theirs in (('running_mean', 'running_mean'),
                                    ('running_var', 'running_var'),
                                    ('batches', 'num_batches_tracked'))}).items()}
    return values


def own_name(name):
    """The release's name of a parameter in this project."""
    return name.replace('up_classifier.0', 'head.fc').replace(
        'mask2attention', 'head.pool.projection')


def learning_rates(epochs):
    """Of the config, by epoch: classifier, box regressor (not here), context, backbone."""
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmpretrain')
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    rates = epoch_rates(
        cfg.param_scheduler, cfg.train_cfg.max_epochs, cfg.optim_wrapper.optimizer.lr)
    return np.repeat(rates[epochs, None], 4, axis=1)


def test_compares_every_key_of_the_file(inception_reference, values):
    assert inception_reference.keys() - INPUTS == values.keys()


@pytest.mark.parametrize('pattern', TOLERANCES)
def test_agrees(pattern, inception_reference, values):
    deviations = {}
    for key in inception_reference.keys() - INPUTS:
        fitting = [each for each in TOLERANCES if re.fullmatch(each, key)]
        if key.endswith('_labels') or fitting[-1] != pattern:
            continue
        value, expected = values[key], inception_reference[key].astype(float)
        assert value.shape == expected.shape, key
        scale = np.abs(expected) if key.endswith('norms') else np.abs(expected).max(initial=0)
        difference = np.abs(value - expected)  # an empty pool gives gradients that are exactly 0
        deviations[key] = float((difference / np.where(difference > 0, scale, 1)).max(initial=0))
    print(f'{pattern}: {max(deviations.values()):.1e} in {len(deviations)} arrays')
    assert max(deviations.values()) <= TOLERANCES[pattern], deviations
