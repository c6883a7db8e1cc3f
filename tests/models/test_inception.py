import pytest
import torch
from mmpretrain.models import InceptionV3
from mmpretrain.registry import MODELS
from torchvision.models import inception_v3


@pytest.fixture
def backbone():
    """Without numbers: on the device 'meta' there are shapes only."""
    with torch.device('meta'):
        return MODELS.build(dict(type='InceptionV3Features'))


def test_ends_at_mixed_6e(backbone):
    names = {name.split('.')[0] for name in backbone.state_dict()}
    assert len(names) == 13 and max(names) == 'Mixed_6e'
    convolutions = [m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 70


def test_size_of_the_map(backbone):
    features, = backbone(torch.empty(2, 3, 314, 315, device='meta'))
    assert features.shape == (2, 768, 17, 18)


@pytest.mark.parametrize('whole', [inception_v3, InceptionV3])
def test_takes_what_it_needs_of_the_whole_network(backbone, whole):
    options = dict(weights=None, init_weights=False) if whole is inception_v3 else {}
    with torch.device('meta'):
        whole = whole(aux_logits=True, **options).state_dict()
    backbone.load_state_dict(whole)  # complains of keys that are missing or left over
    assert len(whole) == 580  # they are still there
    with pytest.raises(RuntimeError, match='Unexpected key.*"fc6.weight"'):
        backbone.load_state_dict(whole | {'fc6.weight': torch.zeros(1)})
