"""Every number that the released model computes on InceptionV3."""
import numpy as np
import pytest
import torch
from head_parts import labelled
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from parity_parts import (
    CONFIGS,
    convert,
    grad_norms,
    learning_rates,
    localize,
    localized,
    named,
    of_all,
    own_layers,
)

from cicam_mm.localization import CombinationalLocalizer, DenseClassMaps, LinearClassMaps
from cicam_mm.models.map_branch import upsample

CONFIG = CONFIGS / 'cicam_inceptionv3_cub_release.py'
INPUTS = ('seed', 'num_classes', 'batch', 'versions', '.*_labels', 'lr_epochs', 'grad_names',
          'train_image_seeds', 'proto_image_sizes')
SIZE = 299
# Of the features every c-th channel and r-th row and column is stored.
STEPS = {
    'Conv2d_1a_3x3': (8, 8), 'Conv2d_2b_3x3': (16, 8), 'maxpool1': (16, 4),
    'Conv2d_4a_3x3': (48, 4), 'maxpool2': (48, 2), 'Mixed_5b': (32, 3), 'Mixed_5c': (36, 3),
    'Mixed_5d': (36, 3), 'Mixed_6a': (96, 1), 'Mixed_6b': (96, 1), 'Mixed_6c': (96, 1),
    'Mixed_6d': (96, 1), 'Mixed_6e': (32, 1),
}
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


@pytest.fixture(scope='module')
def checkpoint(release_inception, run_tool, tmp_path_factory):
    return convert(release_inception, 'write_release_inception', run_tool,
                   tmp_path_factory.mktemp('release'))


def build(checkpoint, num_classes):
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.pop('init_cfg')
    cfg.head.num_classes = num_classes
    cfg.head.localizer.frame = 'input'
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model


@pytest.mark.parametrize('dtype, prefix', [(torch.float32, ''), (torch.float64, 'double_')])
def test_release(release_inception, checkpoint, dtype, prefix):
    ref = release_inception
    model = build(checkpoint, int(ref['num_classes'])).to(dtype)
    values = evaluated(model.eval(), ref, dtype) | trained(model.train(), ref, dtype)
    if prefix:
        values = {name: value for name, value in values.items()
                  if prefix + name in ref.arrays}
    ref.compare(prefix, values, TOLERANCES, [*INPUTS, '(made|double)_.*|lr'])


@torch.no_grad()
def evaluated(model, ref, dtype):
    head, weight = model.head, model.head.fc.weight
    batch, num_classes = int(ref['batch']), int(ref['num_classes'])
    images = ref.make('release_inception_images', batch).to(dtype)
    values, shapes = {}, {}

    def look(name):
        channels, step = STEPS[name]

        def hook(module, args, out):
            values[f'eval_feat_{name}'] = out[:, ::channels, ::step, ::step]
            shapes[name] = out.shape[1:]

        return getattr(model.backbone, name).register_forward_hook(hook)

    hooks = [look(name) for name in ref['eval_feat_names']]
    features, = model.extract_feat(images)
    for hook in hooks:
        hook.remove()
    values['eval_feat_shapes'] = [shapes[name] for name in ref['eval_feat_names']]
    initial, enhanced = head.branches(features)
    final = head.classify(enhanced)
    values['eval_feat_final'] = enhanced[:, ::32]
    branches = dict(initial=(initial, LinearClassMaps(features, weight)),
                    final=(final, LinearClassMaps(enhanced, weight)))
    for branch, (scores, class_maps) in branches.items():
        values[f'eval_{branch}_logits'] = scores
        values[f'eval_{branch}_ids'] = scores.argsort(dim=1, descending=True)
        values[f'eval_{branch}_cam'] = of_all(class_maps, batch, num_classes)
    samples = [sample for size in ref['proto_image_sizes'] for sample in labelled(
        None, size=(SIZE, SIZE), ori_shape=tuple(size))]
    classes = dict(top1cam=final.topk(5).indices,
                   gtcam=torch.from_numpy(ref['gt_labels'])[:, None].long())
    for found in localized(ref.arrays):
        scores, class_maps = branches['initial' if found['branch'] else 'final']
        values[found[0]] = localize(
            found, class_maps, scores, samples, classes.get(found['rule']))
    resized = upsample(values['map_quadratic'][:, None], (SIZE, SIZE))[:, 0]
    values |= dict(map_quadratic_up=resized[:, ::13, ::13],
                   map_quadratic_up_mean=resized.mean(dim=(1, 2)),
                   map_quadratic_up_max=resized.amax(dim=(1, 2)))
    if dtype == torch.float32:
        values |= ranked_by_crops(model, ref, features, branches['final'][1], samples)
    head.pool.pool.zero_()
    return values | dict(
        eval_zero_pool_final_logits=head.classify(head.branches(features)[1]))


def ranked_by_crops(model, ref, features, class_maps, samples):
    """Maps and boxes of the images, whose classes are ranked by scores of their centre crops."""
    scores = model(ref.constant('release_inception_images')(ref.seed + 1000, len(samples)))
    values = dict(proto_crop_final_logits=scores,
                  proto_crop_final_ids=scores.argsort(dim=1, descending=True))
    for found in localized(ref.arrays, 'proto_'):
        values[found[0]] = localize(found, class_maps, scores, samples)
    for theta in '0.0', '0.1':
        for frame, name in ('input', ''), ('original', 'image_'):
            model.head.localizer = CombinationalLocalizer(
                'quadratic', theta=float(theta), frame=frame)
            predicted = model.head.predict((features, ), samples, ranking_scores=scores)
            values[f'proto_box_{name}{theta}'] = torch.stack(
                [sample.pred_box for sample in predicted])
    return values


def trained(model, ref, dtype):
    """Two training steps in a row from an empty pool, without an optimizer."""
    head, values = model.head, {}
    head.pool.has_updater = True
    layers = named('backbone.', own_layers(model.backbone)) | {
        'up_classifier.0': head.fc, 'mask2attention': head.pool.projection}
    first, later = model.backbone.Conv2d_1a_3x3, model.backbone.Mixed_6e.branch1x1
    for step, seed in enumerate(ref['train_image_seeds'].tolist()):
        labels = ref[f'train{step}_labels'].tolist()
        images = ref.constant('release_inception_images')(seed, len(labels)).to(dtype)
        feats = model.extract_feat(images)
        losses = head.loss(feats, labelled(*labels))
        model.zero_grad()
        sum(losses.values()).backward()
        with torch.no_grad():
            initial, enhanced = head.branches(feats[0])
            final = head.classify(enhanced)
            classes, maps = head.pool.take_pending()
            head.pool.update(classes, maps)
        found = dict(
            loss=sum(losses.values()),
            loss_parts=[losses[f'loss_{branch}'].item() for branch in ('initial', 'enhanced')],
            initial_logits=initial, final_logits=final,
            initial_ids=initial.argsort(dim=1, descending=True),
            seen=sorted(set(classes.tolist()) - {head.num_classes}),
            pool=head.pool.pool.clone(),
            grad_norms=grad_norms(layers, ref['grad_names']),
            grad_classifier_weight=head.fc.weight.grad[:, ::8],
            grad_classifier_bias=head.fc.bias.grad,
            grad_context_weight=head.pool.projection.weight.grad[::8, :, 0, 0],
            grad_context_bias=head.pool.projection.bias.grad[::8],
            grad_first_conv=first.conv.weight.grad,
            grad_6e_branch1x1_conv=later.conv.weight.grad[::16, ::16, 0, 0])
        for place, unit in ('1a', first), ('6e_branch1x1', later):
            found |= {f'running_mean_{place}': unit.bn.running_mean.clone(),
                      f'running_var_{place}': unit.bn.running_var.clone(),
                      f'batches_{place}': unit.bn.num_batches_tracked.item()}
        values |= named(f'train{step}_', found)
    return values


def test_maps_and_boxes_of_given_cams(release_inception):
    """CAMs that were made up, with an object in them."""
    ref = release_inception
    num_classes = int(ref['num_classes'])
    cams, ranking = ref.make('release_inception_cams', 8, num_classes)
    scores = torch.zeros(ranking.shape).scatter(
        1, ranking, torch.arange(0., -num_classes, -1).expand(8, -1))
    samples = labelled(*[None] * 8, size=(SIZE, SIZE))
    ref.compare('made_', {found[0].removeprefix('made_'): localize(
        found, DenseClassMaps(cams), scores, samples, ranking[:, :1])
        for found in localized(ref.arrays, 'made_')}, TOLERANCES)


def test_learning_rates(release_inception):
    """By epoch: of classifier, box regressor (not here), context, backbone."""
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmpretrain')
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    rates = learning_rates(
        cfg.param_scheduler, cfg.train_cfg.max_epochs, cfg.optim_wrapper.optimizer.lr)
    release_inception.check(dict(
        lr=np.repeat(rates[release_inception['lr_epochs'], None], 4, axis=1)), TOLERANCES)
