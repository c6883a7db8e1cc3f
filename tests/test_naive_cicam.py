"""The whole model against the paper's formulas written out, in values and gradients."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from benchmarks import naive_cicam as naive
from cicam_mm.localization.map_rules import MAP_RULES, RankWeights, build_map_rule
from cicam_mm.models import non_local as attention

pytestmark = pytest.mark.usefixtures('on_device')

CLASSES, SIDE, BATCH, STEPS = 30, 64, 5, 3


def close(actual, expected, tolerance=1e-5):
    """The largest difference against the largest value."""
    error = (actual - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
    assert error <= tolerance, f'relative deviation {error:.2g}'


@pytest.fixture
def model(monkeypatch):
    """CI-CAM in small, with non-local blocks that do something and blocked attention."""
    monkeypatch.setattr(attention, 'WEIGHTS_AT_ONCE', 0)
    monkeypatch.setattr(attention, 'MIN_QUERIES', 48)
    model = MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG', depth=11, base_channels=4),
        head=dict(type='DualCAMHead', num_classes=CLASSES, in_channels=32, pool=dict(size=(4, 4))),
    ))
    model.init_weights()
    for block in model.backbone.non_local.values():
        torch.nn.init.normal_(block.norm.weight)
    torch.nn.init.normal_(model.head.fc.weight)
    model.head.pool.has_updater = True
    return model.double()


def batch(size=BATCH):
    images = torch.randn(size, 3, SIDE, SIDE, dtype=torch.float64)
    return images, torch.randint(CLASSES, (size, ))


@pytest.mark.parametrize('size', [1, BATCH])
def test_training_equals_the_naive_formulas(model, size):
    """Losses, gradients of every parameter, and the pool after steps that feed it."""
    plain = copy.deepcopy(model)
    for _ in range(STEPS):
        images, labels = batch(size)
        with torch.no_grad():  # half of the images are right, so that the pool is fed
            labels[::2] = naive.scores(plain.head, naive.features(plain.backbone, images)
                                       ).argmax(1)[::2]
        samples = [DataSample().set_gt_label(label) for label in labels]
        losses = model.loss(images, samples)
        model.head.pool.update(*model.head.pool.take_pending())
        initial, enhanced, maps, classes = naive.losses(plain, images, labels)
        plain.head.pool.pool.copy_(naive.updated_pool(
            plain.head.pool.pool, maps, classes, labels, plain.head.pool.update_rate))

        close(losses['loss_initial'], initial)
        close(losses['loss_enhanced'], enhanced)
        close(model.head.pool.pool, plain.head.pool.pool)
        for network, loss in ((model, sum(losses.values())), (plain, initial + enhanced)):
            network.zero_grad()
            loss.backward()
        largest = max(p.grad.abs().max() for p in plain.parameters())
        for (name, actual), expected in zip(
                model.named_parameters(), plain.parameters(), strict=True):
            error = (actual.grad - expected.grad).abs().max() / largest
            assert error <= 1e-5, f'gradient of {name} deviates by {error:.2g}'
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter -= 1e-3 * parameter.grad
        model.load_state_dict(plain.state_dict())  # a random network multiplies rounding errors
    assert model.head.pool.pool.any()


@pytest.mark.parametrize('rule', [
    name for name, rule in MAP_RULES.module_dict.items() if issubclass(rule, RankWeights)])
def test_maps_equal_the_naive_formula(model, rule):
    model.eval()
    model.head.localizer.map_rule = rule
    model.head.pool.pool.normal_()
    images, _ = batch()
    with torch.no_grad():
        x = naive.features(model.backbone, images)
        x = naive.enhance(model.head.pool, x, naive.scores(model.head, x).argmax(1))
        ranking = naive.scores(model.head, x)
        gamma = build_map_rule(rule).gamma(CLASSES).double()
        samples = [DataSample(metainfo=dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE)))
                   for _ in images]
        for i, sample in enumerate(model.predict(images, samples)):
            expected = naive.combined_map(x[i], model.head.fc.weight, ranking[i], gamma)
            close(sample.score_map, expected.float())
            close(sample.pred_score, ranking[i].softmax(0))


def test_gradcheck_of_enhancing(model):
    """Eq. 8 in float64, by finite differences."""
    pool = model.head.pool
    pool.pool.normal_()
    x = torch.randn(2, 32, 4, 4, dtype=torch.float64, requires_grad=True)
    classes = torch.tensor([3, 17])
    parameters = pool.projection.weight, pool.projection.bias
    assert torch.autograd.gradcheck(
        lambda x, *_: pool.enhance(x, classes).mean(dim=(2, 3)), (x, *parameters))
