"""What the tests against "Evaluating WSOL Methods Right" share."""
import numpy as np
from parity_parts import SIZE, build, rates_of

from cicam_mm.evaluation.pooled_metric import judged_map

# The largest deviation allowed, relative to the largest value; of patterns that fit the last.
TOLERANCES = {
    '.*': 1e-4,
    '.*_loss(_parts)?': 1e-5,
    '.*_grad_norms|.*_norm_parts|.*_out_norms': 1e-3,
    '.*_grad_(x|x4|x5|conv1_1)': 2e-2,
    'adl_(relu|signed)_.*': 1e-5,
    '.*_(labels|labels_b|erased|keep|hidden|kept|box|isnan|mixed_ch0|coin_cases)': 0,
}


def network(reference, config, method, layers_of, **options):
    """A model of a config with the weights of a method, its layers, and the config."""
    return build(config, layers_of, reference.make('state', method, backbone=True), **{
        'model.head.num_classes': int(reference['num_classes']), **options})


def branch_layers(branches):
    """The three convolutions of each branch: a1, a2, a3, ..."""
    return {f'{name}{i + 1}': branch[2 * i] for name, branch in branches.items()
            for i in range(3)}


def fast_layers(cfg, model, layers):
    """The layers whose weights a config gives the highest learning rate."""
    _, rates = rates_of(cfg, model, layers)
    rates = {name: rates[f'{name}.weight'] for name in layers}
    return sorted(name for name, rate in rates.items() if rate == max(rates.values()))


def score_maps(maps, step=8):
    """Maps (B, h, w) as they are scored at 224 x 224, every ``step``-th row and column."""
    return np.stack([judged_map(each, SIZE)[::step, ::step] for each in maps.detach().numpy()])
