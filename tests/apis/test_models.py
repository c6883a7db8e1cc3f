from pathlib import Path

import pytest
import torch
from mmpretrain.apis import get_model

from cicam_mm.apis.inferencer import load_model
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack
CONFIG = str(Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py')


@pytest.fixture(scope='module')
def state():
    return get_model(CONFIG).state_dict()


def save(folder, state, meta):
    torch.save(dict(state_dict=state, meta=meta), folder / 'a.pth')
    return folder / 'a.pth'


@pytest.mark.parametrize('meta', [
    None, [], 'text', dict(dataset_meta=None), dict(dataset_meta=[1])])
def test_without_metadata_the_names_are_those_of_the_data_set(tmp_path, state, meta):
    model = load_model(CONFIG, save(tmp_path, state, meta))
    assert model._dataset_meta['classes'][0] == 'striped'


@pytest.mark.parametrize('classes', [3, 'abc', [1, 2], None])
def test_classes_that_are_no_names_are_refused(tmp_path, state, classes):
    meta = dict(dataset_meta=dict(classes=classes))
    with pytest.raises(UserError, match='classes in the checkpoint .*a.pth are not a list'):
        load_model(CONFIG, save(tmp_path, state, meta))


def test_names_stay_on_their_line(tmp_path, state):
    meta = dict(dataset_meta=dict(classes=['a\nb', 'c\x1b[2J', *'cdef']))
    model = load_model(CONFIG, save(tmp_path, state, meta))
    assert model._dataset_meta['classes'] [:2] == ('a\\nb', 'c\\x1b[2J')


def test_weights_of_another_network(tmp_path, state):
    """The demo's into VGG16."""
    config = Path(CONFIG).with_name('cicam_vgg16_cub10.py')
    with pytest.raises(UserError, match=r'a.pth does not fit the model: .* missing .* unexpected '
                       r'.* misshapen \(.* instead of '):
        load_model(config, save(tmp_path, state, {}))
