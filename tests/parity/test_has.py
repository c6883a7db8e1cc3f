"""HaS, as "Evaluating WSOL Methods Right" has it on VGG16.

Its code is wrong for images that are not square, and is not followed there (``wide``, ``tall``).
"""
import numpy as np
import torch
from wsoleval_parts import (
    INFORMATION,
    TOLERANCES,
    build_network,
    cam_layers,
    labelled,
    train_step,
)

from cicam_mm.datasets.hide_and_seek import hidden_cells

CASES = ('even', 'ragged', 'default', 'one', 'zero', 'side0', 'tie')
NOT_FOLLOWED = ('has_(wide|tall)_.*', )


def hidden(draws, side, rate, images):
    size = images.shape[2:]
    if not side:
        return np.zeros((len(images), *size), bool)
    return np.stack([hidden_cells(each, side, rate, size) for each in draws])


def component(ref):
    values = {}
    for case in CASES:
        images, draws, side, rate = ref.make('has_case', case)
        values[f'has_{case}_hidden'] = mask = hidden(draws, side, rate, images)
        if case == 'default':
            values['has_default_out'] = np.where(mask[:, None], 0, images)
    return values


def network(ref):
    images = ref.make('images')
    side, rate = int(ref['has_net_options'][0]), ref['has_net_options'][1]
    draws = ref.make('has_uniforms', 'has.net.u', 2, 224, 224, side).numpy()
    mask = torch.from_numpy(hidden(draws, side, rate, images))
    model, layers, _ = build_network(ref, 'has/has_vgg16_cub.py', 'has', cam_layers)
    logits = []
    model.head.fc.register_forward_hook(lambda fc, args, out: logits.append(out.detach()))
    _, values = train_step(ref, 'has_net', model, layers,
                           images.masked_fill(mask[:, None], 0), labelled(ref['net_labels']))
    return values | dict(has_net_train_logits=logits[0])


def test_has(wsoleval_methods):
    values = component(wsoleval_methods) | network(wsoleval_methods)
    tolerances = TOLERANCES | {'has_default_out': 0}
    wsoleval_methods.compare('has_', values, tolerances, INFORMATION + NOT_FOLLOWED)
