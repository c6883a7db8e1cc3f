"""Every array that the authors' own code of KG-CI-CAM computed."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from head_parts import labelled
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS
from parity_parts import (
    CONFIGS,
    RULES,
    build,
    grad_norms,
    learning_rates,
    load,
    of_all,
    own_layers,
    rates_of,
    samples,
    vgg_layers,
)
from torch import nn

from cicam_mm.localization import CombinationalLocalizer, DenseClassMaps, build_map_rule
from cicam_mm.models.kg_cicam import foreground_mask, kl_of_scores, mse_of_maps

FLAGS = ('none', 'classification', 'localization')
TOLERANCES = {
    '.*': 1e-4,
    '.*_grad_.*': 1e-3,
    '.*_grad_norms': 1e-2,
    '.*(_mask|_box)(_.*)?|.*_resized': 0,
    'kg_view_.*_box': 1e-5,
    'kg_(lr|pool)_.*': 1e-5,
}
OTHER = ('.*_(labels|flags|thetas)', '.*_edge_.*')


def with_teachers(labels, flags):
    made = samples(labels)
    for sample, flag in zip(made, flags, strict=True):
        sample.set_field(FLAGS[int(flag)], 'teacher')
    return made


def head_layers(head):
    return dict(classifier=head.fc, context=head.pool.projection)


# --- combined maps, masks, boxes ---------------------------------------------------------------
def test_combination(author_methods):
    maps, scores = map(torch.from_numpy, author_methods.make('kg_combination_maps'))
    values, m = {}, author_methods['kg_combination_option_m'].item()
    images = labelled(*[None] * len(maps), size=(112, 112))
    for name, rule in RULES.items():
        localizer = CombinationalLocalizer(rule, num_lowest=m, theta=.14, frame='input')
        combined = localizer.score_maps(DenseClassMaps(maps), scores, None)
        values[f'combination_{name}'] = combined[:, 0]
        if f'kg_mask_{name}' in author_methods.arrays:
            values[f'mask_{name}'] = torch.stack([
                foreground_mask(combined, (112, 112), theta)[:, 0]
                for theta in author_methods['kg_mask_thetas'].tolist()], dim=1)
        if name == 'quadratic':
            values['box_quadratic_014'] = localizer.boxes(combined, images)[:, 0]
        for n in 12, 200, 1000:
            lowest = author_methods[f'kg_gamma_option_m_{n}'].item()
            values[f'gamma_{name}_{n}'] = build_map_rule(rule, num_lowest=lowest).gamma(n)
    author_methods.compare('kg_', values, TOLERANCES, [
        *OTHER, 'kg_(teacher|student|whole)_.*'])


def test_map_without_foreground(author_methods):
    """The release finds no box; here the whole image is one."""
    zeros = torch.zeros(5, 1, 7, 7)
    mask = foreground_mask(zeros, (112, 112), .08)
    assert [mask.sum(), (~mask).sum()] == author_methods['kg_edge_zero_maps_mask_sums'].tolist()
    assert author_methods['kg_edge_zero_maps_box_error'] == 'ValueError'
    box = CombinationalLocalizer(theta=.14, frame='input').boxes(
        zeros[:1], labelled(None, size=(112, 112)))
    assert box.tolist() == [[[0, 0, 112, 112]]]


# --- a teacher's step --------------------------------------------------------------------------
class TinyBackbone(nn.Module):
    """What stands for VGG16 in the reference."""

    def __init__(self, state):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 512, 16, 16), nn.BatchNorm2d(512)
        load(own_layers(self), state)

    def forward(self, images):
        return (F.leaky_relu(self.bn(self.stem(images)), .2), )


TEACHERS = dict(
    cls=('cls-teacher', {}), loc=('loc-teacher', {}),
    ilsvrc=('cls-teacher', {'model.mask_theta': .4, 'model.head.localizer.num_lowest': 5,
                            'model.head.localizer.map_rule': 'weighted_mean'}))


@pytest.mark.parametrize('name', TEACHERS)
def test_step_of_a_teacher(author_methods, name):
    suffix, options = TEACHERS[name]
    key = f'kg_teacher_{name}_'
    cfg = Config.fromfile(CONFIGS / f'kgcicam/kgcicam_vgg16_cub_{suffix}.py')
    cfg.merge_from_dict({'model.head.num_classes': 12, 'model.head.pool': dict(
        size=(7, 7), update_rate=.01), **options})
    cfg.model.update(backbone=TinyBackbone(author_methods.make('kg_tiny_backbone')))
    for ours, theirs in dict(mask_theta='theta', aux_weight='r', area_weight='s',
                             aux='aux').items():
        assert cfg.model[ours] == author_methods[f'{key}option_{theirs}'].item()
    model = MODELS.build(cfg.model)
    head = model.head
    layers = head_layers(head)
    load(layers, author_methods.make('kg_heads', 'cls_teacher'))
    head.pool.pool.copy_(author_methods.make('kg_pool', 'cls_teacher'))
    head.pool.has_updater = True
    layers |= own_layers(model.backbone)
    optimizer, rates = rates_of(cfg, model, layers)

    passes = []
    model.backbone.register_forward_hook(lambda module, args, out: passes.append((args, out)))
    images = author_methods.make('kg_images').requires_grad_()
    labels = author_methods[f'{key}labels']
    losses = model.loss(images, samples(labels))
    loss = sum(losses.values())
    with torch.no_grad():
        initial, enhanced = head.branches(passes[0][1][0])
        fore, back = (head.classify(out[0]) for _, out in passes[1:])
        branch2 = head.classify(enhanced)
        combined = head.localizer.score_maps(*reversed(head.localize(passes[0][1])), None)
    mask = foreground_mask(combined, (112, 112), model.mask_theta)
    assert passes[2][0][0].equal(images * ~mask)
    loss.backward()
    fc, context, bn = layers['classifier'], layers['context'], layers['bn']
    values = dict(
        loss=loss.item(),
        ce_branches=[losses['loss_initial'].item(), losses['loss_enhanced'].item()],
        logits_branch1=initial, logits_branch2=branch2, logits_fore=fore, logits_back=back,
        mask=mask[:, 0], combined_map=combined[:, 0], grad_images=images.grad[:, :, ::8, ::8],
        grad_images_norm=images.grad.double().norm(),
        grad_classifier_weight=fc.weight.grad[:, ::8], grad_classifier_bias=fc.bias.grad,
        grad_context_weight=context.weight.grad[::16, :, 0, 0],
        grad_context_bias=context.bias.grad[::16],
        grad_norms=grad_norms(layers, np.char.replace(
            author_methods[f'{key}grad_norm_names'], '_', '.')),
        bn_running_mean_after=bn.running_mean[::4], bn_running_var_after=bn.running_var[::4],
        lr=[rates[f'{layer}.weight'] for layer in ('classifier', 'context', 'stem')])
    if model.aux == 'fore':
        values |= dict(ce_fore=losses['loss_aux'].item() / model.aux_weight,
                       area=losses['loss_area'].item() / model.area_weight)
    else:
        labels = torch.from_numpy(labels.astype(int))
        diff, aux = fore - back, (fore - back + branch2) / 2
        values |= dict(logits_diff=diff, logits_aux=aux,
                       ce_diff_aux=[F.cross_entropy(each, labels) for each in (diff, aux)])
        assert losses['loss_area'] == 0
    optimizer.step()
    head.pool.apply_pending()
    values |= dict(classifier_bias_after=fc.bias, pool_after=head.pool.pool)
    author_methods.compare(key, values, TOLERANCES, OTHER)


# --- the student's losses ----------------------------------------------------------------------
@pytest.mark.parametrize('name', ['T15', 'T11', 'none', 'all_cls', 'all_loc'])
def test_student_losses_of_given_scores_and_maps(author_methods, name):
    key, labels = f'kg_student_{name}', author_methods.make('kg_labels')
    temperature, weight = (
        author_methods[f'{key}_option_{each}'].item() for each in ('T', 'alpha'))
    scores, maps = (author_methods.make(f'kg_{what}', 'student').requires_grad_()
                    for what in ('logits', 'maps'))
    of_cls, of_loc = (torch.from_numpy(author_methods[f'{key}_flags'] == flag) for flag in (1, 2))
    ce = F.cross_entropy(scores, labels)
    total, values = (1 - weight) * ce, {'ce': ce}
    if of_cls.any():
        theirs = author_methods.make('kg_logits', 'cls_teacher')[of_cls]
        for kl in 'correct', 'released':
            ours = scores[of_cls].detach().requires_grad_()
            distance = kl_of_scores(ours, theirs, temperature, kl).mean()
            values |= {f'kl_{kl}': distance, f'kl_{kl}_grad_logits': torch.autograd.grad(
                distance, ours)[0]}
        total = total + weight * kl_of_scores(scores[of_cls], theirs, temperature).mean()
    if of_loc.any():
        theirs = author_methods.make('kg_maps', 'loc_teacher')[of_loc]
        values['mse'] = mse_of_maps(maps[of_loc], theirs, temperature).mean()
        total = total + weight * values['mse']
    total.backward()
    values |= dict(loss=total, grad_logits=scores.grad)
    assert (maps.grad is None) == author_methods.arrays.get(
        f'{key}_grad_maps_is_none', np.array(False)).item()
    if maps.grad is not None:
        values['grad_maps'] = maps.grad
    author_methods.compare(f'{key}_', values, TOLERANCES, [*OTHER, '.*_is_none'])


def test_student_that_equals_its_teacher(author_methods):
    scores, maps = (author_methods.make(f'kg_{what}', 'student') for what in ('logits', 'maps'))
    author_methods.compare('kg_student_equal_', dict(
        kl_released=kl_of_scores(scores, scores, 15.).mean(),
        mse=mse_of_maps(maps, maps, 15.).mean()), TOLERANCES)


# --- a step of the student with whole networks -------------------------------------------------
def layers_of(model):
    layers = vgg_layers(model.backbone) | head_layers(model.head)
    places = zip(('pool2', 'pool3', 'pool4', 'conv5_3'), model.backbone.non_local.values(),
                 strict=True)
    return layers | {f'non_local.{after}.{dict(norm="bn").get(part, part)}': module
                     for after, block in places for part, module in own_layers(block).items()}


def network(reference, role):
    """A whole CI-CAM with the weights of the reference."""
    model, layers, cfg = build(
        'kgcicam/kgcicam_vgg16_cub.py', layers_of,
        reference.make('kg_backbone', role) | reference.make('kg_heads', role),
        **{'model.head.num_classes': 12,
           'model.head.pool': dict(size=(7, 7), update_rate=.002)})
    model.head.pool.pool.copy_(reference.make('kg_pool', role))
    return model, layers, cfg


def test_step_of_the_student(author_methods):
    student, layers, cfg = network(author_methods, 'student')
    head, weight = student.head, student.teacher_weight
    assert student.temperature == author_methods['kg_whole_option_T']
    assert weight == author_methods['kg_whole_option_alpha']
    head.pool.has_updater = True
    teachers = {name: network(author_methods, role)[0].eval() for name, role in (
        ('classification', 'cls_teacher'), ('localization', 'loc_teacher'))}
    student._loaded = teachers
    before = {name: {key: value.clone() for key, value in teacher.state_dict().items()}
              for name, teacher in teachers.items()}
    images = author_methods.make('kg_images', 3)
    optimizer, rates = rates_of(cfg, student, layers)
    seen = {}
    student.backbone.register_forward_hook(lambda module, args, out: seen.update(feats=out))
    losses = student.loss(images, with_teachers(
        author_methods['kg_whole_labels'], author_methods['kg_whole_flags']))
    loss = sum(losses.values())
    loss.backward()
    with torch.no_grad():
        initial = head.branches(seen['feats'][0])[0]
        scores, class_maps = head.localize(seen['feats'])
        theirs = {name: teacher.head.localize(teacher.extract_feat(images))
                  for name, teacher in teachers.items()}
    values = dict(
        loss=loss, ce=losses['loss_enhanced'] / (1 - weight),
        kl_released=losses['loss_classification'] / weight,
        mse=losses['loss_localization'] / weight, logits_branch1=initial,
        logits_branch2=scores, maps_branch2=of_all(class_maps, 3),
        cls_teacher_logits=theirs['classification'][0],
        loc_teacher_maps=of_all(theirs['localization'][1], 3),
        grad_norms=grad_norms(layers, author_methods['kg_whole_grad_names']),
        grad_classifier_weight=head.fc.weight.grad[:, ::8],
        grad_context_weight=head.pool.projection.weight.grad[::16, :, 0, 0],
        lr=[rates[f'{layer}.weight'] for layer in ('classifier', 'context', 'conv1_1')])
    optimizer.step()
    head.pool.apply_pending()
    values |= dict(
        pool_after=head.pool.pool,
        bn_running_mean_after_pool2=layers['non_local.pool2.bn'].running_mean,
        bn_running_mean_after_conv5_3=layers['non_local.conv5_3.bn'].running_mean[::4],
        teacher_unchanged=all(
            before[name][key].equal(value) for name, teacher in teachers.items()
            for key, value in teacher.state_dict().items()))
    author_methods.compare('kg_whole_', values, TOLERANCES, OTHER)


# --- schedules, pool, views --------------------------------------------------------------------
def schedule(reference, name):
    """Rates of classifier, context and backbone by epoch, from the config if there is one."""
    rate, factor, epochs, step, gamma = reference.constant('KG_SCHEDULES')[name]
    config = dict(cub_teacher='kgcicam_vgg16_cub_cls-teacher', cub_student='kgcicam_vgg16_cub')
    if name in config:
        cfg = Config.fromfile(CONFIGS / 'kgcicam' / f'{config[name]}.py')
        schedulers = cfg.param_scheduler
    else:
        schedulers = [dict(type='PolyLR', eta_min=0, power=.9, begin=0, end=epochs + 1),
                      dict(type='StepLR', step_size=step, gamma=gamma)]
    return learning_rates(schedulers, epochs, rate)[:, None] * [1, factor, factor]


def pool_step(reference):
    maps, scores, labels, before = map(torch.from_numpy, reference.make('kg_pool_step'))
    classes = scores.argmax(dim=1)
    values = {}
    for rate in .01, .002:
        pool = MODELS.build(dict(type='CausalContextPool', num_classes=12, channels=4,
                                 update_rate=rate))
        pool.has_updater = True
        pool.pool.copy_(before)
        pool.record(maps[torch.arange(6), classes], classes, labels)
        counted, added = pool.take_pending()
        pool.update(counted, added)
        values[f'pool_after_{rate}'] = pool.pool[[0, 1, 3, 5], ::2, ::2]
        sums = torch.zeros(13, 14, 14).index_add(0, counted, added)[:-1]
        values |= dict(pool_added_sums=sums.sum(dim=(1, 2)), pool_added=sums[[3, 5], ::3, ::3])
    return values


def views(reference):
    """Test views at 288 px: squashed for CUB; for ILSVRC the image alone keeps its aspect."""
    values = {}
    for data, resize in dict(cub=dict(type='Resize', scale=(288, 288)),
                             ilsvrc=dict(type='ResizeEdge', scale=288, edge='short')).items():
        sizes, boxes = [], []
        for width, height, box in reference.constant('KG_VIEWS'):
            def view(*steps, width=width, height=height, box=box):
                results = dict(img=np.zeros((height, width, 3), np.uint8), img_shape=(
                    height, width), gt_bboxes=np.array([box], np.float32))
                for step in steps:
                    results = TRANSFORMS.build(step)(results)
                return results
            sizes.append(view(resize)['img'].shape[1::-1])
            boxes.append(view(dict(type='Resize', scale=(288, 288)),
                              dict(type='CenterCrop', crop_size=224))['gt_bboxes'][0])
        values |= {f'view_{data}_resized': sizes, f'view_{data}_box': boxes}
    return values


def test_schedules_pool_and_views(bas_psol):
    values = {f'lr_{name}': schedule(bas_psol, name)
              for name in bas_psol.constant('KG_SCHEDULES')}
    bas_psol.compare('kg_', values | pool_step(bas_psol) | views(bas_psol), TOLERANCES)
