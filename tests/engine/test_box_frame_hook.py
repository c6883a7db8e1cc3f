from types import SimpleNamespace

import pytest
from mmpretrain.registry import DATASETS, HOOKS
from mmpretrain.structures import DataSample
from torch import nn

from cicam_mm.localization import CombinationalLocalizer

pytestmark = pytest.mark.stack
LOAD, RESIZE = dict(type='LoadWSOLImage'), dict(type='Resize', scale=(30, 20))


def wrapped(kind, pipeline):
    config = dict(type='ConfoundedShapes', num_images=6, pipeline=pipeline)
    config = {'none': config,
              'concat': dict(type='ConcatDataset', datasets=[dict(config, pipeline=[RESIZE]),
                                                             config]),
              'repeat': dict(type='RepeatDataset', times=2, dataset=config)}[kind]
    return SimpleNamespace(dataset=DATASETS.build(config))


def runner(loader):
    model = nn.Module()
    model.localizer = CombinationalLocalizer()
    return SimpleNamespace(model=model, val_dataloader=loader, test_dataloader=loader)


@pytest.mark.parametrize('stage', ['val', 'test'])
@pytest.mark.parametrize('kind', ['none', 'concat', 'repeat'])
def test_pixels_that_move_are_noticed_in_any_wrapper(stage, kind):
    hook = HOOKS.build(dict(type='BoxFrameHook'))
    flips = runner(wrapped(kind, [RESIZE, dict(type='RandomFlip', prob=1.)]))
    with pytest.raises(ValueError, match='but RandomFlip of the test pipeline moves'):
        getattr(hook, f'before_{stage}_epoch')(flips)
    resizes = runner(wrapped(kind, [LOAD, RESIZE]))
    getattr(hook, f'before_{stage}_epoch')(resizes)
    cropped = DataSample(metainfo=dict(ori_shape=(40, 60), img_shape=(20, 28),
                                       scale_factor=(.5, .5)))
    with pytest.raises(ValueError, match='is not the whole image'):
        getattr(hook, f'after_{stage}_iter')(resizes, 0, None, [cropped])
