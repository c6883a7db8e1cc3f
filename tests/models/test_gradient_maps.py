"""Maps of small classifiers with random weights, against pytorch-grad-cam and plain formulas."""
import weakref
from copy import deepcopy

import pytest
import pytorch_grad_cam
import torch
from classifiers import CLASSIFIERS, SIZE, build
from head_parts import labelled
from mmpretrain.models import BaseClassifier
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import nn

from cicam_mm.models import MapsOfClassifier, gradient_maps
from cicam_mm.models.cam_head import CAMHead
from cicam_mm.models.gradient_maps import METHODS, default_target_layer, eigen_cam, to_grid
from cicam_mm.models.map_branch import stretch
from cicam_mm.utils.errors import UserError

ORACLES = {'gradcam': 'GradCAM', 'gradcam++': 'GradCAMPlusPlus', 'xgradcam': 'XGradCAM',
           'layercam': 'LayerCAM', 'scorecam': 'ScoreCAM'}


def expected(model, method, layers, images, classes):
    """Maps on the grid, in [0, 1]; of layers that give the same grid."""
    def reshape(features):
        features = features[-1] if isinstance(features, tuple) else features
        return to_grid(features, SIZE)

    cam = getattr(pytorch_grad_cam, ORACLES[method])(
        model, [model.get_submodule(layer) for layer in layers], reshape_transform=reshape)
    cam.get_target_width_height = lambda images: None  # not resized
    with cam:
        return torch.from_numpy(cam(images, [ClassifierOutputTarget(label) for label in classes]))


def localize(model, method, layers, images, classes, **options):
    head = MapsOfClassifier(model, method, layers, **options)
    with torch.no_grad():  # as a head's predict
        scores, maps = head.localize(images)
        return scores, maps.of_classes(torch.tensor(classes))


@pytest.mark.parametrize('method, name', [
    (method, name) for method in ORACLES for name in CLASSIFIERS
    if method == 'gradcam' or name in ('ResNet', 'ViT')])
def test_equal_to_pytorch_grad_cam(method, name):
    model, images = build(name), torch.randn(2, 3, *SIZE)
    layer = CLASSIFIERS[name][-1]
    if layer == 'backbone':  # gives a tuple, which pytorch-grad-cam does not take
        layer = {'ResNet': 'backbone.layer4', 'Swin': 'backbone.norm3'}[name]
    with torch.no_grad():
        of_model = model(images)
    of_first = expected(model, method, [layer], images, [2, 5])
    of_second = expected(model, method, [layer], images, [0, 5])
    scores, maps = localize(model, method, [layer], images, [[2, 0], [5, 5]])
    torch.testing.assert_close(scores, of_model)
    found = stretch(maps).nan_to_num(0)
    torch.testing.assert_close(found[:, 0], of_first, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[:, 1], of_second, rtol=1e-3, atol=1e-3)
    assert default_target_layer(model) == CLASSIFIERS[name][-1]
    _, by_default = localize(model, method, [], images, [[2, 0], [5, 5]])
    torch.testing.assert_close(by_default, maps)


def test_several_layers():
    model, images = build('ResNet'), torch.randn(2, 3, *SIZE)
    layers = ['backbone.layer3.0', 'backbone.layer3.1']
    of_both = expected(model, 'gradcam', layers, images, [2, 5])
    _, maps = localize(model, 'gradcam', layers, images, [[2], [5]])
    torch.testing.assert_close(stretch(maps)[:, 0], of_both, rtol=1e-3, atol=1e-3)
    _, maps = localize(model, 'gradcam', [*layers, 'backbone.layer4'], images, [[2], [5]])
    assert maps.shape == (2, 1, 4, 4)


def test_eigen_cam():
    activations = torch.rand(2, 12, 4, 5)
    component = torch.from_numpy(get_2d_projection(activations.numpy()))
    found = eigen_cam(activations)
    torch.testing.assert_close(found.abs(), component.abs(), rtol=1e-3, atol=1e-4)
    brightness = activations.sum(dim=1)
    together = (found * (brightness - brightness.mean(dim=(1, 2), keepdim=True))).sum(dim=(1, 2))
    assert (together > 0).all()
    model, images = build('ResNet'), torch.randn(2, 3, *SIZE)
    seen = []
    hook = model.backbone.layer4.register_forward_hook(lambda *args: seen.append(args[2]))
    _, maps = localize(model, 'eigencam', [], images, [[0, 3], [1, 1]])
    hook.remove()
    torch.testing.assert_close(maps, eigen_cam(seen[0])[:, None].relu().expand(-1, 2, -1, -1))


# --- attention -------------------------------------------------------------------------------
def plain_attention(model):
    """Let every block compute its attention in plain steps; the list of them, in order."""
    kept = []

    def attend(query, key, value, dropout_p):
        weights = (query @ key.mT / query.shape[-1]**.5).softmax(dim=-1)
        weights.retain_grad()
        kept.append(weights)
        return weights @ value

    for layer in model.backbone.layers:
        layer.attn.scaled_dot_product_attention = attend
    return kept


@pytest.mark.parametrize('name', ['ViT', 'DeiT'])
def test_attention_by_products_of_matrices(name):
    images = torch.randn(2, 3, *SIZE)
    model = build(name)
    plain = deepcopy(model)
    kept = plain_attention(plain)
    scores = plain(images)
    (scores[0, 2] + scores[1, 5]).backward()
    one = torch.eye(kept[0].shape[-1])
    raw = weighted = one
    for weights in kept:
        raw = (weights.mean(dim=1) + one) / 2 @ raw
        weighted = (one + (weights.grad * weights).clamp(min=0).mean(dim=1)) @ weighted
    for method, product in ('rollout', raw), ('gradient-rollout', weighted):
        of_class = product[:, 0, -16:].view(2, 4, 4)
        _, maps = localize(model, method, [], images, [[2], [5]])
        torch.testing.assert_close(stretch(maps)[:, 0], stretch(of_class[:, None])[:, 0])


# --- behaviour -------------------------------------------------------------------------------
@pytest.mark.parametrize('method', METHODS)
def test_a_map_is_a_backward_pass_and_leaves_nothing(method, monkeypatch):
    passes = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, 'grad',
                        lambda *args, **kwargs: passes.append(1) or grad(*args, **kwargs))
    recorded = []
    record = gradient_maps.recorded

    def watched(*args):
        scores, seen = record(*args)
        recorded.extend(map(weakref.ref, [scores, *seen.values()]))
        return scores, seen

    monkeypatch.setattr(gradient_maps, 'recorded', watched)
    model = build('ViT')
    head = MapsOfClassifier(model, method, localizer=dict(map_rule='top1', box_rule='wsoleval'))

    def predict(count):
        with torch.no_grad():
            return head.predict(torch.randn(count, 3, *SIZE), labelled(*range(count), size=SIZE))

    assert all(not each.score_map.requires_grad for each in predict(2))
    by_class = method in ('gradcam', 'gradcam++', 'xgradcam', 'layercam', 'gradient-rollout')
    assert len(passes) == 6 * by_class  # five classes and the label, however many images
    assert recorded and all(each() is None for each in recorded)
    assert all(each.grad is None for each in model.parameters())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_any_classifier_of_mmpretrain():
    """As TimmClassifier is: one module, no backbone and no head."""
    class Classifier(BaseClassifier):
        def __init__(self):
            super().__init__()
            self.model = nn.Sequential(nn.Conv2d(3, 7, 16, 16), nn.AdaptiveAvgPool2d(1),
                                       nn.Flatten())
            self.model.num_classes = 7

        def forward(self, inputs, data_samples=None, mode='tensor'):
            return self.model(inputs)

        extract_feat = loss = None

    model, images = Classifier(), torch.randn(2, 3, *SIZE)
    maps = model.model[0](images).detach()
    _, found = localize(model, 'gradcam', ['model.0'], images, [[4], [1]])
    expected = torch.stack([maps[0, 4], maps[1, 1]]) / 16
    torch.testing.assert_close(found[:, 0], expected.relu())
    with pytest.raises(UserError, match='name one with --target-layers'):
        default_target_layer(model)


def test_maps_of_a_batch_are_those_of_its_images():
    model, images = build('Swin'), torch.randn(3, 3, *SIZE)
    _, maps = localize(model, 'gradcam++', [], images, [[0], [1], [2]])
    for i in range(3):
        _, alone = localize(model, 'gradcam++', [], images[i:i + 1], [[i]])
        torch.testing.assert_close(maps[i:i + 1], alone)


def test_weighted_sum_is_that_of_the_maps():
    head = MapsOfClassifier(build('ResNet'), 'layercam')
    coefficients = torch.randn(2, 7)
    coefficients[:, 3] = 0
    _, maps = head.localize(torch.randn(2, 3, *SIZE))
    dense = maps.of_classes(torch.arange(7).expand(2, -1))
    torch.testing.assert_close(maps.weighted_sum(coefficients)[:, 0],
                               torch.einsum('bn,bnhw->bhw', coefficients, dense))


def test_features_to_grids():
    tokens = torch.arange(6.).view(1, 6, 1)
    rows = [[[[0., 1., 2.], [3., 4., 5.]]]]
    assert to_grid(tokens, (20, 30)).tolist() == rows
    assert to_grid(torch.cat([-tokens[:, :2], tokens], dim=1), (20, 30)).tolist() == rows
    channels = torch.rand(1, 448, 49)  # EfficientFormer-L1's; 448 is 7 + 21 * 21
    assert to_grid(channels, (224, 224)).equal(channels.unflatten(2, (7, 7)))
    last = torch.rand(1, 4, 4, 7)
    assert to_grid(last, (32, 32)).equal(last.permute(0, 3, 1, 2))
    first = torch.rand(1, 4, 4, 4)
    assert to_grid(first, (32, 32)) is first
    for wrong in torch.rand(2, 5), torch.rand(1, 3, 1):
        with pytest.raises(UserError, match='neither a map nor tokens'):
            to_grid(wrong, (32, 32))


@pytest.mark.parametrize('name, method, layers, sentence', [
    ('ResNet', 'gradcam', ['backbone.layer5'], "no layer 'backbone.layer5'; near it are"),
    ('ViT', 'gradcam', ['backbone.layers'], 'is not called as a whole'),
    ('Swin', 'gradcam', ['backbone.stages.0'], 'gives no map; name a layer inside it'),
    ('ViT', 'gradcam', ['backbone.layers.2'], 'does not depend on the patch tokens of'),
    ('ViT', 'rollout', ['backbone.layers.2'], 'takes all blocks; leave target layers out'),
    ('Swin', 'rollout', [], 'SwinTransformer does not classify by a class token'),
])
def test_what_does_not_fit_is_told(name, method, layers, sentence):
    with pytest.raises(UserError, match=sentence):
        localize(build(name), method, layers, torch.randn(1, 3, *SIZE), [[0]])


def test_the_last_map_of_a_cam_head_is_that_of_its_backbone():
    model = nn.Module()
    model.backbone, model.head = nn.Identity(), CAMHead(num_classes=2, in_channels=3)
    assert default_target_layer(model) == 'backbone'
