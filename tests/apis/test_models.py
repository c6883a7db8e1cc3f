import pytest
import torch

from cicam_mm.apis.inferencer import load_model
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack


@pytest.fixture
def load(checkpoint, config, tmp_path):
    """Loads the small network's weights with other metadata."""
    def load(meta, cfg=config):
        torch.save(dict(torch.load(checkpoint), meta=meta), tmp_path / 'a.pth')
        return load_model(cfg, tmp_path / 'a.pth')
    return load


@pytest.mark.parametrize('meta', [None, dict(dataset_meta=[1])])
def test_without_metadata_the_names_are_those_of_the_data_set(load, meta):
    assert load(meta)._dataset_meta['classes'][0] == 'striped'


@pytest.mark.parametrize('classes', ['abc', [1, 2]])
def test_classes_that_are_no_names_are_refused(load, classes):
    with pytest.raises(UserError, match='classes in the checkpoint .*a.pth are not a list'):
        load(dict(dataset_meta=dict(classes=classes)))


def test_names_stay_on_their_line(load):
    meta = load(dict(dataset_meta=dict(classes=['a\nb', 'c\x1b[2J', *'cdef'])))._dataset_meta
    assert meta['classes'][:2] == ('a\\nb', 'c\\x1b[2J')


def test_weights_of_another_network(load):
    with pytest.raises(UserError, match=r'a.pth does not fit the model: 3 unexpected .*; '
                       r'9 misshapen \(.* instead of '):
        load({}, 'cicam_mm::nlccam/nlccam_tiny_shapes.py')
