"""What comparisons with the authors' codes share: names, weights, rates, boxes."""
import numpy as np
import torch
from mmpretrain.registry import PARAM_SCHEDULERS
from mmpretrain.structures import DataSample

from cicam_mm.checkpoints.release import CONVOLUTIONS
from cicam_mm.localization import find_boxes

SIZE = (224, 224)
# The place of each convolution of VGG16 in NonLocalVGG's features.
VGG = dict(zip((f'conv{stage}_{layer}' for stage, layers in enumerate((2, 2, 3, 3, 3), 1)
                for layer in range(1, layers + 1)), CONVOLUTIONS.values(), strict=True))


def samples(labels):
    return [DataSample().set_gt_label(int(label)) for label in labels]


def load(module, state, own_name, prefix=''):
    """Load the reference's weights, all of them, by the names that they have here."""
    own = {own_name(name).removeprefix(prefix): torch.from_numpy(value)
           for name, value in state.items()}
    missing, unexpected = module.load_state_dict(own, strict=False)
    assert not unexpected and all('num_batches' in name for name in missing)


def arrays(prefix, values):
    """Values by the reference's names."""
    return {prefix + name: np.asarray(value.detach() if torch.is_tensor(value) else value)
            for name, value in values.items()}


def boxes_at(maps, rules):
    """Boxes (k, T, 4) of maps (k, h, w) by each (rule, theta)."""
    return np.stack([find_boxes(np.asarray(maps), rule, theta, SIZE) for rule, theta in rules],
                    axis=1)


def learning_rates(schedulers, epochs, lr=1.):
    """The rate of each epoch, shape (epochs, )."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    schedulers = [PARAM_SCHEDULERS.build(each, default_args=dict(optimizer=optimizer))
                  for each in schedulers]
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for each in schedulers:
            each.step()
    return np.array(rates)
