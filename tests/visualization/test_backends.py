"""MMEngine's backends, chosen by the config."""

import numpy as np
import torch
from mmengine.visualization.vis_backend import BaseVisBackend
from mmpretrain.registry import VISBACKENDS, VISUALIZERS
from mmpretrain.structures import DataSample


@VISBACKENDS.register_module()
class RecordingBackend(BaseVisBackend):
    """Stands for a tracker, such as Weights & Biases."""

    def __init__(self, save_dir=None):
        super().__init__(save_dir or '')
        self.images = {}

    def _init_env(self):
        pass

    @property
    def experiment(self):
        return self

    def add_image(self, name, image, step=0, **kwargs):
        self.images[name, step] = image


def draw(backends, folder):
    """Draws one sample through a visualizer built from a config."""
    visualizer = VISUALIZERS.build(dict(
        type='LocalizationVisualizer', name=str(folder), save_dir=str(folder),
        vis_backends=backends))
    sample = DataSample().set_pred_score(torch.tensor([0.25, 0.75])).set_pred_label(1)
    sample.set_data(dict(score_map=torch.eye(7), pred_box=torch.tensor([4, 4, 30, 20])))
    picture = visualizer.add_datasample('duck', np.zeros((40, 40, 3), np.uint8), sample, step=7)
    return visualizer, picture


def test_all_backends_of_a_config_get_the_picture(tmp_path):
    visualizer, picture = draw(
        [dict(type='LocalVisBackend'), dict(type='RecordingBackend')], tmp_path)
    recorded = visualizer.get_backend('RecordingBackend').images
    np.testing.assert_array_equal(recorded['duck', 7], picture)
    assert (tmp_path / 'vis_data' / 'vis_image' / 'duck_7.png').is_file()


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    visualizer, picture = draw([dict(type='TensorboardVisBackend')], tmp_path)
    visualizer.close()
    events = EventAccumulator(str(tmp_path / 'vis_data')).Reload()
    image, = events.Images('duck')
    assert (image.step, image.height, image.width) == (7, *picture.shape[:2])
