from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample

from cicam_mm.models.kg_cicam import TEACHERS, foreground_mask, kl_of_scores, mse_of_maps
from cicam_mm.utils.errors import UserError

CLASSES = 4
HEAD = dict(type='DualCAMHead', num_classes=CLASSES, in_channels=16, pool=dict(size=(4, 4)),
            localizer=dict(map_rule='quadratic'))
BACKBONE = dict(type='NonLocalVGG', depth=11, strides=(2, 2, 1), base_channels=4,
                non_local_stages=(2, ))
TEACHER = dict(type='KGTeacher', aux='diff_aux', aux_weight=.5, mask_theta=.3, area_weight=.1)


def build(seed=0, **options):
    torch.manual_seed(seed)
    cfg = Config(dict(type='ImageClassifier', backbone=BACKBONE, head=HEAD) | options)
    model = MODELS.build(cfg)
    torch.nn.init.normal_(model.head.fc.weight)
    model.head.pool.pool.normal_()
    model.head.pool.has_updater = True
    return model


@pytest.fixture
def teachers(tmp_path):
    """Config and checkpoint of both teachers."""
    config = tmp_path / 'teacher.py'
    Config(dict(default_scope='mmpretrain', model=dict(
        TEACHER, backbone=BACKBONE, head=HEAD))).dump(config)
    made = {}
    for seed, name in enumerate(TEACHERS, 1):
        checkpoint = tmp_path / f'{name}.pth'
        torch.save(dict(state_dict=build(seed, **TEACHER).state_dict()), checkpoint)
        made[name] = dict(config=str(config), checkpoint=str(checkpoint))
    return made


def student(teachers, **options):
    return build(type='KGStudent', teachers=teachers, **options)


def batch(*names):
    images, labels = torch.randn(len(names), 3, 16, 16), torch.arange(len(names)) % CLASSES
    samples = [DataSample().set_gt_label(label) for label in labels]
    for sample, name in zip(samples, names, strict=True):
        sample.set_field(name, 'teacher')
    return images, samples, labels


# --- losses ------------------------------------------------------------------------------------
def test_divergence_by_hand():
    """Of two uniform distributions over two classes the released one is -log 2 - 1/2."""
    zeros = torch.zeros(1, 2)
    assert kl_of_scores(zeros, zeros, 1.).item() == pytest.approx(-1.1931, abs=1e-4)
    assert kl_of_scores(zeros, zeros, 1., 'correct').item() == 0
    # t = (3/4, 1/4), s = (1/2, 1/2); the temperature halves log 9
    teacher = torch.tensor([[np.log(9), 0.]])
    expected = .75 * np.log(.75 / .5) + .25 * np.log(.25 / .5)
    assert kl_of_scores(zeros, teacher, 2., 'correct').item() == pytest.approx(expected)


def test_map_distance_by_hand():
    student, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([[[[0., 2 * np.log(3)]]]])
    assert mse_of_maps(student, teacher, 2.).item() == pytest.approx((.75 - .5)**2 / 2)


def test_mask_by_hand():
    maps = torch.tensor([[[[0., 1.], [2., 4.]]]])
    assert foreground_mask(maps, (2, 2), .25).tolist() == [[[[False, False], [True, True]]]]
    assert not foreground_mask(torch.zeros(1, 1, 2, 2), (4, 4), 0.).any()


# --- the student -------------------------------------------------------------------------------
def test_without_weight_of_teachers_is_branch_2_alone(teachers):
    model = student(teachers, teacher_weight=0.)
    images, samples, labels = batch('none', 'classification', 'localization')
    expected = F.cross_entropy(model(images), labels)
    torch.testing.assert_close(sum(model.loss(images, samples).values()), expected)


def test_no_image_of_a_teacher(teachers):
    """Teachers are not even read, and nothing is NaN."""
    model = student({name: dict(config='none.py', checkpoint='none.pth') for name in teachers})
    losses = model.loss(*batch('none', 'none')[:2])
    sum(losses.values()).backward()
    assert losses['loss_classification'] == losses['loss_localization'] == 0
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_map_distance_does_not_depend_on_the_label(teachers):
    model = student(teachers)
    images, samples, _ = batch('localization', 'localization')
    first = model.loss(images, samples)['loss_localization']
    for sample in samples:
        sample.set_gt_label(3)
    assert first > 0 and model.loss(images, samples)['loss_localization'] == first


def test_teachers_stay_as_they_are(teachers):
    """And are no part of the student's state, nor of its optimizer."""
    model = student(teachers)
    names = {*model.state_dict()}
    model.init_weights()
    assert {*model.state_dict()} == names == {*build().state_dict()}
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1.)))
    assert sum(len(group['params']) for group in wrapper.param_groups) == len(
        [*build().parameters()])
    saved = {name: torch.load(teachers[name]['checkpoint'])['state_dict'] for name in TEACHERS}
    model.train()
    own = {key: value.clone() for key, value in model.state_dict().items()}
    wrapper.update_params(sum(model.loss(*batch(*TEACHERS)[:2]).values()))
    model.head.pool.apply_pending()
    assert not model.state_dict()['head.pool.pool'].equal(own['head.pool.pool'])
    assert not model.head.fc.weight.equal(own['head.fc.weight'])
    for name in TEACHERS:
        now = model._teacher(name).state_dict()
        assert 'head.pool.pool' in now
        assert all(value.equal(saved[name][key]) for key, value in now.items())


def test_unknown_teachers():
    with pytest.raises(UserError, match=r"unknown teachers \['segmentation'\]; known are cla"):
        build(type='KGStudent', teachers=dict(segmentation={}))


def test_what_does_not_fit(teachers):
    model = student(teachers)
    images, samples, _ = batch('none', 'segmentation')
    with pytest.raises(UserError, match="image None: its teacher is 'segmentation', but must be"):
        model.loss(images, samples)
    del samples[1].teacher
    with pytest.raises(UserError, match=r"is None, .*PackInputs\(algorithm_keys=\('teacher', \)"):
        model.loss(images, samples)
    other = build(type='KGStudent', teachers=teachers, head=dict(HEAD, num_classes=5))
    with pytest.raises(UserError, match='has 4 classes, the student 5; take one of the same'):
        other.init_weights()
    model.teachers['localization']['checkpoint'] = 'none.pth'
    with pytest.raises(FileNotFoundError, match='none.pth'):
        model.init_weights()


# --- the transform -----------------------------------------------------------------------------
def test_draws_a_teacher_and_its_augmentation():
    flips = dict(none=[], classification=[dict(type='RandomFlip', prob=1.)], localization=[
        dict(type='Resize', scale=(4, 4))])
    choose = TRANSFORMS.build(dict(type='ChooseTeacher', augmentations=flips))
    pack = TRANSFORMS.build(dict(type='PackInputs', algorithm_keys=('teacher', )))
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    seen = []
    for _ in range(60):
        packed = pack(choose(dict(img=image.copy(), img_shape=(2, 2))))
        seen.append(packed['data_samples'].teacher)
        inputs = packed['inputs'].numpy().transpose(1, 2, 0)
        expected = dict(none=image, classification=image[:, ::-1]).get(seen[-1])
        assert inputs.shape == (4, 4, 3) if expected is None else np.array_equal(inputs, expected)
    assert all(10 <= seen.count(name) <= 30 for name in flips)


def test_configs_name_each_other():
    """Each checkpoint that a student asks for is the last of a run of the config beside it."""
    folder = Path(__file__).parents[2] / 'configs' / 'kgcicam'
    configs = {path: Config.fromfile(path) for path in folder.glob('*.py')}
    for cfg in configs.values():
        for teacher in cfg.model.get('teachers', {}).values():
            path = Path(teacher.config)
            assert Path(teacher.checkpoint) == Path(
                'work_dirs', path.stem, f'epoch_{configs[path].train_cfg.max_epochs}.pth')
