"""ADL, as "Evaluating WSOL Methods Right" has it on VGG16."""
import numpy as np
import torch
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    build_network,
    cam_layers,
    fast_layers,
    labelled,
    of_labels,
    train_step,
)

from cicam_mm.models import ADL
from cicam_mm.models.adl import erases
from cicam_mm.models.erasing import keep_mask

OPTIONS = ('adl_p', 'adl_gammas', 'adl_coins', 'adl_net2?_(gamma|p|coins)')


def layer_values(ref, kind):
    options = dict(channels=64, signed=kind == 'signed')
    upstream = ref.make('normal', f'adl.{kind}.upstream', (3, 64, 14, 14))
    values = {}
    for name, gamma, p, step in (
            ('importance', .9, 0, 8), ('drop_g9', .9, 1, 32), ('drop_g8', .8, 1, 32)):
        x = ref.make('features', f'adl.{kind}', **options).requires_grad_()
        out = ADL(gamma, p)(x)
        (out * upstream).sum().backward()
        values[f'adl_{kind}_{name}_out'] = out.detach()[:, ::step]
        values[f'adl_{kind}_{name}_grad'] = x.grad[:, ::step]
        if p:
            values[f'adl_{kind}_{name}_keep'] = keep_mask(x, gamma)[:, 0]
    return values


def component(ref):
    relu, signed = (ref.make('features', f'adl.{kind}', channels=64, signed=kind == 'signed')
                    for kind in ('relu', 'signed'))
    edges = relu * 0, relu * 0 + 1, relu * 0 - 1, -signed.abs() - .1, relu
    coins = ref['adl_coin_cases'][:, :2]
    return dict(
        **layer_values(ref, 'relu'), **layer_values(ref, 'signed'),
        adl_coin_cases=[(u, p, erases(u, p)) for u, p in coins],
        adl_edge_kept=[[keep_mask(x, gamma).mean().item() for gamma in (.9, 1., 0.)]
                       for x in edges])


def networks(ref):
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    values = {}
    for prefix in 'adl_net', 'adl_net2':
        adl = dict(type='ADL', gamma=float(ref[f'{prefix}_gamma']), p=float(ref['adl_p']))
        places = [dict(cfg=adl, stages=(3, 5)),
                  dict(cfg=adl, stages=(4, ), position='before_pool')]
        model, layers, cfg = build_network(
            ref, 'adl/adl_vgg16_cub.py', 'adl', cam_layers, **{'model.backbone.plugins': places})
        if prefix == 'adl_net':
            assert fast_layers(cfg, model, layers) == sorted(ref['adl_net_lr10'])
            with torch.no_grad():
                scores, maps = model.eval().head.localize(model.extract_feat(images))
            values |= dict(adl_net_logits=scores,
                           adl_net_map=of_labels(maps, y)[:, ::13, ::13] / 1024)
        kept, norms, logits = {}, {}, []
        coins = dict(zip(('3', '4_before_pool', '5'), ref[f'{prefix}_coins'], strict=True))
        for name, coin in coins.items():
            layer = model.backbone.adl[name]
            layer._toss = lambda coin=coin: coin

            def record(layer, args, out, name=name, kept=kept, norms=norms):
                kept[name] = keep_mask(args[0], layer.gamma).mean(dim=(1, 2, 3)).tolist()
                norms[name] = out.detach().double().norm().item()

            layer.register_forward_hook(record)
        model.head.fc.register_forward_hook(
            lambda fc, args, out, logits=logits: logits.append(out.detach()))
        values |= train_step(ref, prefix, model, layers, images, labelled(y))[1]
        values |= {f'{prefix}_train_logits': logits[0], f'{prefix}_kept': list(kept.values()),
                   f'{prefix}_out_norms': list(norms.values())}
    return values


def test_adl(wsoleval_methods):
    values = component(wsoleval_methods) | networks(wsoleval_methods)
    tolerances = TOLERANCES | {'adl_(edge|net2?)_kept': 1e-6}  # shares in float32
    wsoleval_methods.compare('adl_', values, tolerances, INFORMATION + OPTIONS)


def test_the_cam_network_is_the_same_in_testing(wsoleval_methods):
    np.testing.assert_array_equal(wsoleval_methods['adl_net_logits'],
                                  wsoleval_methods['cam_net_logits'])
