"""ACoL, as its release and "Evaluating WSOL Methods Right" have it on VGG16.

Where a map is constant, theirs is NaN and ours zero; the score maps agree.
"""
import torch
from parity_parts import grad_norms, load, named, of_labels, samples, train_step, vgg_layers
from wsoleval_parts import TOLERANCES, branch_layers, fast_layers, network, score_maps

from cicam_mm.localization import DenseClassMaps
from cicam_mm.models import ACoLHead
from cicam_mm.models.map_branch import stretch

CONFIG = 'acol/acol_vgg16_cub.py'


def head_layers(head):
    return branch_layers({'acol.a': head.head_a, 'acol.b': head.head_b})


def layers_of(model):
    return vgg_layers(model.backbone) | head_layers(model.head)


@torch.no_grad()
def outputs(head, x, labels):
    """What the head gives for features and labels, by the reference's names, and its maps."""
    logits_a, maps = head.localize((x, ))
    attention = stretch(of_labels(DenseClassMaps(maps.maps), labels)[:, None])[:, 0]
    maps_b = maps.erased_maps(labels)
    return dict(maps_a=maps.maps, logits_a=logits_a, attention=attention, maps_b=maps_b,
                erased=attention >= head.threshold, logits_b=maps_b.mean(dim=(2, 3))), maps


@torch.no_grad()
def without_labels(logits_a, maps):
    """Scores of head B, which erases at the best class."""
    return maps.erased_maps(logits_a.argmax(dim=1)).mean(dim=(2, 3))


def only(found, *names):
    return {name: found[name] for name in names}


@torch.no_grad()
def loss(head, x, y):
    return sum(head.loss((x, ), samples(y)).values()).item()


def test_head(wsoleval_methods):
    ref = wsoleval_methods
    head = ACoLHead(int(ref['num_classes']), 512)
    layers = head_layers(head)
    load(layers, ref.make('state', 'acol'))
    x, y = ref.make('features', 'acol.x').requires_grad_(), ref.make('labels', 'acol.y', 3)
    values = dict(labels=y)
    for case in 'd6', 'd7':
        head.threshold = float(ref[f'acol_{case}_delta'])
        losses = head.loss((x, ), samples(y))
        parts = [losses['loss_a'], losses['loss_b']]
        norms = [torch.autograd.grad(part, x, retain_graph=True)[0].double().norm().item()
                 for part in parts]
        head.zero_grad()
        x.grad = None
        sum(parts).backward()
        out, maps = outputs(head, x, y)
        fused = of_labels(maps, y)
        values |= named(f'{case}_', dict(
            only(out, 'erased', 'logits_b'), fused=fused,
            logits_b_nolabel=without_labels(out['logits_a'], maps),
            label_map_b=of_labels(DenseClassMaps(out['maps_b']), y), loss=sum(parts).item(),
            loss_parts=[part.item() for part in parts], grad_x_norm_parts=norms,
            grad_norms=grad_norms(layers, ref['acol_grad_names'])))
    values |= only(out, 'logits_a', 'attention') | dict(  # of the last case
        pooled=head.pre_logits((x, ))[:, ::64], maps_a=out['maps_a'][:, ::3],
        label_map_a=of_labels(DenseClassMaps(out['maps_a']), y), scoremap=score_maps(fused),
        d7_maps_b=out['maps_b'][:, ::3], d7_grad_x=x.grad[:, ::32],
        d7_grad_a3_weight=layers['acol.a3'].weight.grad[:, ::16, 0, 0],
        d7_grad_b3_weight=layers['acol.b3'].weight.grad[:, ::16, 0, 0],
        d7_grad_b1_weight=layers['acol.b1'].weight.grad[::64, ::64])
    ref.compare('acol_', values | edges(head, x.detach(), y), TOLERANCES,
                ['acol_(net|release)_.*'])


@torch.no_grad()
def edges(head, x, y):
    head.threshold = 1.
    values = named('d100_', only(outputs(head, x, y)[0], 'logits_b', 'erased'))
    head.threshold = 1.01
    values |= named('d101_', only(outputs(head, x, y)[0], 'logits_b'))
    head.threshold = .7
    values |= named('zero_', only(outputs(head, x * 0, y)[0], 'logits_a', 'logits_b'))
    values['zero_loss'] = loss(head, x * 0, y)
    head.head_a[4].weight[y[0]] = 0
    out, maps = outputs(head, x, y)
    fused = of_labels(maps, y)
    return values | named('const_', only(out, 'logits_a', 'logits_b', 'erased') | dict(
        loss=loss(head, x, y), fused_isnan=~fused.flatten(1).any(dim=1),
        scoremap_max=score_maps(fused, 1).max(axis=(1, 2))))


def test_networks(wsoleval_methods):
    ref = wsoleval_methods
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    model, layers, cfg = network(ref, CONFIG, 'acol', layers_of, **{
        'model.head.threshold': float(ref['acol_net_delta']),
        'model.backbone.strides': (2, 2, 2, 2, 1)})
    assert fast_layers(cfg, model, layers) == sorted(ref['acol_net_lr10'])
    seen = []
    model.backbone.register_forward_hook(lambda module, args, out: seen.append(out[0].detach()))
    values, _ = train_step(ref, 'acol_net_', model, layers, images, samples(y))
    out, maps = outputs(model.head, seen[0], y)
    fused = of_labels(maps, y)
    ref.compare('acol_net_', values | only(out, 'logits_b', 'erased') | dict(
        features=seen[0][:, ::64], logits=out['logits_a'], train_logits=out['logits_a'],
        logits_b_nolabel=without_labels(out['logits_a'], maps), map=fused,
        scoremap=score_maps(fused)), TOLERANCES)

    model, *_ = network(ref, CONFIG, 'acol', layers_of)
    assert model.head.threshold == ref['acol_release_delta']
    with torch.no_grad():
        features, = model.extract_feat(images)
    out, maps = outputs(model.head, features, y)
    ref.compare('acol_release_', only(out, 'logits_b', 'erased') | dict(
        logits=out['logits_a'], map=of_labels(maps, y)[:, ::2, ::2],
        loss=loss(model.head, features, y)), TOLERANCES)
