import pytest
import torch
from mmengine.logging import MMLogger
from mmpretrain.models import VGG
from mmpretrain.registry import MODELS
from torchvision.models import vgg


def build(**options):
    options = dict(depth=11, base_channels=8) | options
    return MODELS.build(dict(type='NonLocalVGG', **options))


@pytest.mark.parametrize('strides, pool_sizes, sizes', [
    ((2, 2, 2, 2, 1), None, (32, 16, 8, 4, 4)),
    ((2, 1, 1, 2, 1), None, (32, 32, 32, 16, 16)),
    ((2, 2, 1), None, (32, 16, 16)),
    ((2, 2, 2, 1, 1), (3, ) * 5, (32, 16, 8, 8, 8)),
    ((2, 2, 2, 2, 1), (2, 2, 2, 3, None), (32, 16, 8, 4, 4)),
])
def test_stages_and_their_pools(strides, pool_sizes, sizes):
    options = dict(strides=strides, pool_sizes=pool_sizes, non_local_stages=(),
                   act_cfg=dict(type='ReLU'))
    backbone = build(out_indices=range(len(strides)), **options)
    x = images = torch.randn(1, 3, 64, 64)
    outs = backbone(images)
    layers = iter(m for m in backbone.features if hasattr(m, 'conv'))
    for i, (out, stride, size) in enumerate(zip(outs, strides, sizes, strict=True)):
        for _ in range(1 if i < 2 else 2):
            x = next(layers).conv(x).relu()
        pool = pool_sizes[i] if pool_sizes else {2: 2, 1: None}[stride]
        if pool:
            x = torch.nn.functional.max_pool2d(x, pool, stride, padding=int(pool == 3))
        assert out.shape == (1, 8 * min(2**i, 8), size, size)
        torch.testing.assert_close(out, x)
    two = build(out_indices=(-1, 0), **options)
    two.load_state_dict(backbone.state_dict())
    first, last = two(images)
    assert first.equal(outs[0]) and last.equal(outs[-1])


@MODELS.register_module()
class Doubler(torch.nn.Module):
    """A plugin without parameters, active in training only."""

    def forward(self, x):
        return x * 2 if self.training else x


@pytest.mark.parametrize('name', ['ReLU', 'GELU'])
def test_plugins_act_where_they_are_said_to(name):
    """Before the pool they see the activations, also those that else come behind it."""
    conv = build(strides=(2, ), non_local_stages=()).features[0].conv
    activation = getattr(torch.nn, name)()
    images = torch.randn(2, 3, 8, 8)
    seen = {}
    for position in 'before_pool', 'after_pool':
        backbone = build(
            strides=(2, ), non_local_stages=(), act_cfg=dict(type=name),
            plugins=[dict(cfg=dict(type='Doubler'), stages=(1, ), position=position)])
        backbone.features[0].conv = conv
        plugin, = backbone.doubler.values()
        plugin.register_forward_hook(lambda m, args, out, at=position: seen.update({at: args[0]}))
        out, = backbone(images)
        pooled = torch.nn.functional.max_pool2d(activation(conv(images)), 2)
        torch.testing.assert_close(out, 2 * pooled)
        torch.testing.assert_close(backbone.eval()(images)[0], pooled)
    torch.testing.assert_close(seen['before_pool'], activation(conv(images)))
    torch.testing.assert_close(seen['after_pool'], pooled)


def test_plugins_of_a_kind_are_named_by_stage_and_initialized():
    block = dict(type='NonLocalBlock', reduction=2)
    plugins = [dict(cfg=block, stages=(1, 2), position='before_pool'),
               dict(cfg=dict(type='ContextBlock', ratio=.5), stages=(2, ))]
    backbone = build(strides=(2, 2), non_local_stages=(2, ), plugins=plugins)
    assert [*backbone.non_local] == ['1_before_pool', '2_before_pool', '2']
    assert backbone.non_local['1_before_pool'].key.weight.shape == (4, 8, 1, 1)
    assert [*backbone.context_block] == ['2']  # mmcv's, given the channels of its stage
    assert backbone.context_block['2'].in_channels == 16


def test_plugins_of_frozen_stages():
    plugins = [dict(cfg=dict(type='Doubler'), stages=(2, ))]
    backbone = build(frozen_stages=2, plugins=plugins).train()
    assert backbone.doubler['2'].training  # there is nothing to freeze in it
    assert not backbone.non_local['2'].training
    assert not any(p.requires_grad for p in backbone.non_local['2'].parameters())


@pytest.mark.parametrize('name, activation', [
    ('LeakyReLU', torch.nn.functional.leaky_relu),
    ('ReLU', torch.nn.functional.relu),
    ('GELU', torch.nn.functional.gelu),  # decreases in places
])
def test_pooling_first_changes_nothing(name, activation):
    backbone = build(strides=(2, 1), non_local_stages=(), act_cfg=dict(type=name))
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    first, second = (m.conv for m in backbone.features if hasattr(m, 'conv'))
    expected = activation(second(torch.nn.functional.max_pool2d(activation(first(x)), 2)))
    features, = backbone(x)
    torch.testing.assert_close(features, expected)
    direction = torch.randn_like(features)
    torch.testing.assert_close(*(torch.autograd.grad(out, x, direction, retain_graph=True)
                                 for out in (features, expected)))


@pytest.mark.parametrize(('name', 'order'), [
    ('channels_last', torch.channels_last), ('as_is', torch.contiguous_format)])
def test_maps_and_gradients_stay_in_one_order(name, order):
    """Each change of the order in between would cost a copy, forward and backward."""
    backbone = build(memory_format=name).train()
    for block in backbone.non_local.values():
        torch.nn.init.ones_(block.norm.weight)
    seen = []

    def look(module, args, out):
        seen.extend([args[0], out])
        out.register_hook(seen.append)

    layers = [module for module in backbone.features.modules()
              if isinstance(module, torch.nn.Conv2d | torch.nn.MaxPool2d)]
    for layer in layers:
        layer.register_forward_hook(look)
    x = torch.randn(2, 3, 64, 64)
    out, = backbone(x)
    out.backward(torch.randn_like(out))
    assert len(seen) == 3 * len(layers)
    assert all(each.is_contiguous(memory_format=order) for each in seen)


def test_blocks_start_as_identity_after_init_weights():
    with_blocks, without = build(norm_cfg=dict(type='BN')), build(
        norm_cfg=dict(type='BN'), non_local_stages=())
    with_blocks.init_weights()
    without.load_state_dict(with_blocks.state_dict(), strict=False)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(with_blocks.eval()(x)[0], without.eval()(x)[0])
    assert with_blocks.features[0].bn.weight.eq(1).all()


def test_frozen_stages_stay_as_they_are():
    backbone = build(frozen_stages=3, norm_cfg=dict(type='BN'))
    assert backbone.train() is backbone
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=1.)
    backbone(torch.randn(2, 3, 32, 32))[0].pow(2).mean().backward()
    optimizer.step()
    changed = {'.'.join(k.split('.')[:2])
               for k, v in backbone.state_dict().items() if not v.equal(before[k])}
    # of VGG11, layers 7 to 11 are stages 4 and 5
    assert changed == {f'features.{i}' for i in (7, 8, 10, 11)} | {'non_local.4', 'non_local.5'}


def test_norm_eval():
    backbone = build(norm_cfg=dict(type='BN'), norm_eval=True).train()
    assert not backbone.features[0].bn.training and backbone.features[0].conv.training


def torchvision_vgg11(batch_norm=False):
    """Convolutions as torchvision's VGG11 has them, and their weights as its files name them."""
    layers = vgg.make_layers([8, 'M', 16, 'M', 32, 32, 'M', 64, 64, 'M', 64, 64, 'M'],
                             batch_norm).eval()
    state = {f'features.{k}': v for k, v in layers.state_dict().items()}
    return layers, state | {'classifier.0.weight': torch.zeros(1, 1)}


def build_from(folder, state, prefix=None, **options):
    """The backbone with the weights of a file."""
    torch.save(state, folder / 'vgg.pth')
    backbone = build(strides=(2, ) * 5, act_cfg=dict(type='ReLU'), init_cfg=dict(
        type='Pretrained', checkpoint=str(folder / 'vgg.pth'), prefix=prefix), **options)
    backbone.init_weights()
    return backbone.eval()


@pytest.mark.parametrize('batch_norm, kind', [
    (False, torch.float32), (True, torch.float32), (False, torch.float16)])
def test_torchvision_weights(tmp_path, batch_norm, kind):
    """Weights stored in half precision become float32, too."""
    source, state = torchvision_vgg11(batch_norm)
    state = {name: value.to(kind) for name, value in state.items()}
    source.to(kind).float()
    backbone = build_from(tmp_path, state, norm_cfg=dict(type='BN') if batch_norm else None)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(backbone(x)[0], source(x))


def test_mmpretrain_weights_of_a_whole_model(tmp_path):
    source = VGG(11)
    source.eval()
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    backbone = build_from(tmp_path, dict(state_dict=state), 'backbone.', base_channels=64,
                          non_local_stages=())
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(backbone(x)[0], source(x)[0])


def test_unused_keys_are_named(tmp_path, caplog):
    state = torchvision_vgg11()[1]
    del state['features.3.weight']
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    build_from(tmp_path, state)
    logger.removeHandler(caplog.handler)
    assert 'unexpected key in source state_dict: classifier.0.weight' in caplog.text
    assert 'missing keys in source state_dict: features.2.conv.weight' in caplog.text


def test_weights_of_something_else_are_refused(tmp_path):
    state = {f'layer{i}.weight': torch.zeros(1) for i in range(1, 5)}
    with pytest.raises(ValueError, match='no key of these weights fits the backbone: they hold '
                       r'layer1.weight, layer2.weight, layer3.weight, \.\.\., it needs'):
        build_from(tmp_path, state)


@pytest.mark.parametrize('options, message', [
    (dict(strides=(2, 3)), 'strides must be 1 or 2 for each of up to 5 stages'),
    (dict(strides=(2, 2), non_local_stages=(3, )),
     r'stages of the plugin NonLocalBlock must be from 1 to 2, got \(3,\)'),
    (dict(plugins=[dict(cfg=dict(type='Doubler'), stages=(6, ))]),
     r'stages of the plugin Doubler must be from 1 to 5, got \(6,\)'),
    (dict(plugins=[dict(cfg=dict(type='Doubler'), stages=(1, ), position='after_conv1')]),
     "the plugin Doubler must be one of before_pool, after_pool, got 'after_conv1'"),
    (dict(plugins=[dict(cfg=dict(type='NonLocalBlock'), stages=(2, ))]),
     'two plugins NonLocalBlock have the same position in stage 2'),
    (dict(out_indices=(0, 5)), r'out_indices must be stages from 0 to 4, got \(0, 5\)'),
    (dict(pool_sizes=(2, 2, 2, 2, 2)), 'pool_sizes 2 or 3 for a stride of 2, 3 or None for'),
    (dict(frozen_stages=6), 'frozen_stages must be between 0 and 5, got 6'),
])
def test_bad_structure(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
