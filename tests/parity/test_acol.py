"""ACoL, as its release and "Evaluating WSOL Methods Right" have it on VGG16.

Where a map is constant, theirs is NaN and ours zero; the score maps agree.
"""
from functools import cached_property

import torch
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    branch_layers,
    build_network,
    fast_layers,
    grad_norms,
    labelled,
    load,
    of_labels,
    score_maps,
    train_step,
)

from cicam_mm.localization import DenseClassMaps
from cicam_mm.models import ACoLHead
from cicam_mm.models.map_branch import stretch

CONFIG = 'acol/acol_vgg16_cub.py'
NORMS = 'acol_grad_names'


def head_layers(head):
    return branch_layers({'acol.a': head.head_a, 'acol.b': head.head_b})


class Outputs:
    """What the head gives for a feature map and labels."""

    def __init__(self, head, x, labels):
        self.features = head.pre_logits((x, ))
        self.maps_a = head.head_a(self.features)
        self.attention = stretch(of_labels(DenseClassMaps(self.maps_a), labels)[:, None])[:, 0]
        self.erased = self.attention >= head.threshold
        self.logits_a = self.maps_a.mean(dim=(2, 3)).detach()
        self.head, self.x, self.labels = head, x, labels

    @cached_property
    def maps_b(self):
        return self._head_b(self.labels)

    @property
    def logits_b(self):
        return self.maps_b.mean(dim=(2, 3))

    @property
    def logits_b_nolabel(self):
        return self._head_b(self.logits_a.argmax(dim=1)).mean(dim=(2, 3))

    @cached_property
    def fused(self):
        return of_labels(self.head.localize((self.x, ))[1], self.labels)

    def _head_b(self, classes):
        return self.head.head_b(
            self.head.erase(self.features, self.maps_a, classes)).detach()


def component(ref):
    head = ACoLHead(int(ref['num_classes']), 512)
    layers = head_layers(head)
    load(ref, 'acol', layers)
    x, y = ref.make('features', 'acol.x').requires_grad_(), ref.make('labels', 'acol.y', 3)
    values = dict(acol_labels=y)
    for case in 'd7', 'd6':
        head.threshold = float(ref[f'acol_{case}_delta'])
        head.zero_grad()
        losses = head.loss((x, ), labelled(y))
        parts = [losses['loss_a'], losses['loss_b']]
        norms = [torch.autograd.grad(part, x, retain_graph=True)[0].double().norm().item()
                 for part in parts]
        x.grad = None
        sum(parts).backward()
        out = Outputs(head, x.detach(), y)
        values |= {f'acol_{case}_{name}': value for name, value in dict(
            erased=out.erased, logits_b=out.logits_b, logits_b_nolabel=out.logits_b_nolabel,
            label_map_b=of_labels(DenseClassMaps(out.maps_b), y), fused=out.fused,
            loss=sum(parts).item(), loss_parts=[part.item() for part in parts],
            grad_x_norm_parts=norms, grad_norms=grad_norms(ref, NORMS, layers)).items()}
        if case == 'd7':
            values |= dict(
                acol_pooled=out.features[:, ::64], acol_logits_a=out.logits_a,
                acol_maps_a=out.maps_a.detach()[:, ::3], acol_attention=out.attention,
                acol_label_map_a=of_labels(DenseClassMaps(out.maps_a), y),
                acol_scoremap=score_maps(out.fused), acol_d7_maps_b=out.maps_b[:, ::3],
                acol_d7_grad_x=x.grad[:, ::32],
                acol_d7_grad_a3_weight=layers['acol.a3'].weight.grad[:, ::16, 0, 0],
                acol_d7_grad_b3_weight=layers['acol.b3'].weight.grad[:, ::16, 0, 0],
                acol_d7_grad_b1_weight=layers['acol.b1'].weight.grad[::64, ::64])
    return values | edges(ref, head, x.detach(), y)


@torch.no_grad()
def edges(ref, head, x, y):
    head.threshold = 1.
    whole = Outputs(head, x, y)
    values = dict(acol_d100_logits_b=whole.logits_b, acol_d100_erased=whole.erased)
    head.threshold = 1.01
    values |= dict(acol_d101_logits_b=Outputs(head, x, y).logits_b)
    head.threshold = .7
    zero = Outputs(head, x * 0, y)
    values |= dict(acol_zero_logits_a=zero.logits_a, acol_zero_logits_b=zero.logits_b,
                   acol_zero_loss=loss(head, x * 0, y))
    head.head_a[4].weight[y[0]] = 0
    const = Outputs(head, x, y)
    return values | dict(
        acol_const_logits_a=const.logits_a, acol_const_logits_b=const.logits_b,
        acol_const_erased=const.erased, acol_const_loss=loss(head, x, y),
        acol_const_fused_isnan=~const.fused.flatten(1).any(dim=1),
        acol_const_scoremap_max=score_maps(const.fused, 1).max(axis=(1, 2)))


def loss(head, x, y):
    return sum(head.loss((x, ), labelled(y)).values()).item()


def networks(ref):
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    model, layers, cfg = build_network(
        ref, CONFIG, 'acol', lambda model: head_layers(model.head),
        **{'model.head.threshold': float(ref['acol_net_delta']),
           'model.backbone.strides': (2, 2, 2, 2, 1)})
    assert fast_layers(cfg, model, layers) == sorted(ref['acol_net_lr10'])
    seen = []
    hook = model.backbone.register_forward_hook(
        lambda module, args, out: seen.append(out[0].detach()))
    _, values = train_step(ref, 'acol_net', model, layers, images, labelled(y))
    hook.remove()
    with torch.no_grad():
        out = Outputs(model.head, seen[0], y)
    values |= dict(
        acol_net_features=seen[0][:, ::64], acol_net_logits=out.logits_a,
        acol_net_train_logits=out.logits_a, acol_net_logits_b=out.logits_b,
        acol_net_logits_b_nolabel=out.logits_b_nolabel, acol_net_erased=out.erased,
        acol_net_map=out.fused, acol_net_scoremap=score_maps(out.fused))

    release, *_ = build_network(ref, CONFIG, 'acol', lambda model: head_layers(model.head))
    assert release.head.threshold == ref['acol_release_delta']
    with torch.no_grad():
        features, = release.extract_feat(images)
        out = Outputs(release.head, features, y)
        return values | dict(
            acol_release_logits=out.logits_a, acol_release_logits_b=out.logits_b,
            acol_release_erased=out.erased, acol_release_map=out.fused[:, ::2, ::2],
            acol_release_loss=loss(release.head, features, y))


def test_acol(wsoleval_methods):
    values = component(wsoleval_methods) | networks(wsoleval_methods)
    wsoleval_methods.compare('acol_', values, TOLERANCES, INFORMATION)
