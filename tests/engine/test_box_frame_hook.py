from types import SimpleNamespace

import pytest
from mmengine.dataset import Compose
from mmpretrain.registry import HOOKS, TRANSFORMS
from torch import nn

from cicam_mm.localization import CombinationalLocalizer

pytestmark = pytest.mark.stack


@pytest.mark.parametrize('stage', ['val', 'test'])
@pytest.mark.parametrize('is_wrapped', [False, True])
def test_a_pipeline_that_flips_is_stopped_before_the_first_image(stage, is_wrapped):
    model, hook = nn.Module(), HOOKS.build(dict(type='BoxFrameHook'))
    model.localizer = CombinationalLocalizer()
    dataset = SimpleNamespace(pipeline=Compose([TRANSFORMS.build(
        dict(type='RandomFlip', prob=1.))]))
    if is_wrapped:
        dataset = SimpleNamespace(dataset=dataset)
    loaders = {f'{stage}_dataloader': SimpleNamespace(dataset=dataset)}
    with pytest.raises(ValueError, match='but RandomFlip of the test pipeline moves'):
        getattr(hook, f'before_{stage}_epoch')(SimpleNamespace(model=model, **loaders))
