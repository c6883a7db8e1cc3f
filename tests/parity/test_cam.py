"""CAM, as "Evaluating WSOL Methods Right" has it on VGG16."""
from types import SimpleNamespace

import torch
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    build_network,
    cam_layers,
    fast_layers,
    grad_norms,
    labelled,
    load,
    of_all,
    of_labels,
    score_maps,
    train_step,
)

from cicam_mm.models import CAMHead, ConvNeck

CONFIG = 'cam/cam_vgg16_cub_wsoleval.py'
CHANNELS = 1024  # over which the reference takes the mean


def component(ref):
    model = SimpleNamespace(neck=ConvNeck(512), head=CAMHead(int(ref['num_classes']), 1024))
    layers = cam_layers(model)
    load(ref, 'cam', layers)
    x, y = ref.make('features', 'cam.x').requires_grad_(), ref.make('labels', 'cam.y', 3)
    feats = model.neck((x, ))
    loss = model.head.loss(feats, labelled(y))['loss']
    loss.backward()
    scores, maps = model.head.localize(feats)
    zero_scores, zero_maps = model.head.localize(model.neck((x * 0, )))
    values = dict(
        cam_labels=y,
        cam_logits=scores.detach(),
        cam_loss=loss.item(),
        cam_maps=of_all(maps, y) / CHANNELS,
        cam_scoremap=score_maps(of_labels(maps, y)),
        cam_grad_x=x.grad[:, ::32],
        cam_grad_new_weight=layers['cam.new'].weight.grad[::64, ::64],
        cam_grad_fc_weight=layers['cam.fc'].weight.grad[:, ::16],
        cam_grad_norms=grad_norms(ref, 'cam_grad_names', layers),
        cam_zero_logits=zero_scores.detach(),
        cam_zero_map=of_labels(zero_maps, y)[:, ::13, ::13] / CHANNELS)
    with torch.no_grad():
        model.head.fc.weight[y[0]] = 0
        scores, maps = model.head.localize(feats)
    label_maps = of_labels(maps, y)
    return values | dict(
        cam_const_logits=scores,
        cam_const_map_max=label_maps.abs().amax(dim=(1, 2)) / CHANNELS,
        cam_const_scoremap_max=score_maps(label_maps, 1).max(axis=(1, 2)))


def networks(ref):
    images, y = ref.make('images'), torch.from_numpy(ref['net_labels'])
    model, layers, cfg = build_network(ref, CONFIG, 'cam', cam_layers)
    assert fast_layers(cfg, model, layers) == sorted(ref['cam_net_lr10'])
    features = {}
    model.backbone.register_forward_hook(
        lambda module, args, out: features.update(last=out[0].detach()))
    _, values = train_step(ref, 'cam_net', model, layers, images, labelled(y))
    with torch.no_grad():
        scores, maps = model.head.localize(model.neck((features['last'], )))
        small, *_ = build_network(ref, CONFIG, 'cam', cam_layers, **{
            'model.backbone.strides': (2, 2, 2, 1, 1)})
        scores28, maps28 = small.head.localize(small.extract_feat(images))
    return values | dict(
        cam_net_features=features['last'][:, ::64],
        cam_net_logits=scores,
        cam_net_train_logits=scores,
        cam_net_map=of_labels(maps, y) / CHANNELS,
        cam_net_scoremap=score_maps(of_labels(maps, y)),
        cam_net28_logits=scores28,
        cam_net28_map=of_labels(maps28, y)[:, ::2, ::2] / CHANNELS)


def test_cam(wsoleval_methods):
    values = component(wsoleval_methods) | networks(wsoleval_methods)
    wsoleval_methods.compare('cam_', values, TOLERANCES, INFORMATION)
