import torch
from mmengine.config import Config

from cicam_mm.apis.batch import config_digest, weights_digest


def test_every_weight_and_buffer_counts():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    known = {weights_digest(model)}
    for tensor in model.state_dict().values():
        tensor.view(-1)[-1] += 1
        known.add(weights_digest(model))
    assert len(known) == 1 + 7
    twin = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    twin.load_state_dict(model.state_dict())
    assert weights_digest(twin) in known and weights_digest(twin.half()) not in known


def test_a_config_is_its_content(tmp_path):
    (tmp_path / 'base.py').write_text('model = dict(type="A", size=(1, 2))')
    (tmp_path / 'heir.py').write_text("_base_ = 'base.py'\n")
    (tmp_path / 'other.py').write_text("_base_ = 'base.py'\nmodel = dict(size=(1, 3))\n")
    base, heir, other = (config_digest(Config.fromfile(tmp_path / f'{name}.py'))
                         for name in ('base', 'heir', 'other'))
    assert base == heir != other
