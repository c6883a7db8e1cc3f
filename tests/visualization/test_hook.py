from pathlib import Path
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.visualization import UniversalVisualizer

import cicam_mm  # noqa: F401
from cicam_mm.visualization import LocalizationVisualizationHook, Style

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def config(tmp_path):
    """The demo with an untrained model, five test images and the hook."""
    cfg = Config.fromfile(CONFIGS / 'cicam_tiny_shapes.py')
    cfg.work_dir = str(tmp_path / 'work')
    cfg.log_level = 'WARNING'
    # by default a time in seconds, and Runners of one name share their visualizer
    cfg.experiment_name = tmp_path.name
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False, batch_size=3)
    cfg.test_dataloader.dataset.num_images = 5
    cfg.custom_hooks = [dict(type='LocalizationVisualizationHook', out_dir=str(tmp_path / 'out'))]
    return cfg


def run(config):
    runner = Runner.from_cfg(config)
    runner.test()
    return sorted(Path(config.custom_hooks[0].get('out_dir') or config.work_dir).rglob('*.png'))


def test_equal_names_in_two_folders_do_not_collide(config, tmp_path):
    """Two classes, each with an image a.png of 60 x 40: the duck is red, the grebe blue."""
    for name, bgr in (('duck', (0, 0, 250)), ('grebe', (250, 0, 0))):
        image = np.full((40, 60, 3), bgr, np.uint8)
        mmcv.imwrite(image, str(tmp_path / 'data' / name / 'a.png'))
    (tmp_path / 'data' / 'boxes.csv').write_text(
        'path,x0,y0,x1,y1\nduck/a.png,10,10,30,30\ngrebe/a.png,20,5,50,30\n')
    config.test_dataloader.dataset = dict(
        type='FolderLocalization', data_root=str(tmp_path / 'data'), box_file='boxes.csv',
        test_mode=True, pipeline=[
            dict(type='LoadWSOLImage'),
            dict(type='Resize', scale=(96, 96)),
            dict(type='LoadAnnotations', with_bbox=True, with_label=False),
            dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))])
    del config.default_hooks.class_names  # the untrained head keeps its six classes
    config.visualizer = dict(type='LocalizationVisualizer', style=dict(alpha=0.))
    files = run(config)
    assert [file.name for file in files] == ['00000_a.png', '00001_a.png']
    duck, grebe = (mmcv.imread(file, channel_order='rgb') for file in files)
    assert duck.shape[1] == grebe.shape[1] == 7 * 60  # the stored image, not the input
    np.testing.assert_array_equal(duck[20 * 7, 20 * 7], (250, 0, 0))
    np.testing.assert_array_equal(grebe[20 * 7, 35 * 7], (0, 0, 250))
    np.testing.assert_array_equal(grebe[5 * 7, 21 * 7], Style().truth)


def test_validation_is_drawn_on_demand(config, tmp_path):
    LocalizationVisualizationHook().after_val_iter(runner=None, batch_idx=0)  # draws nothing
    config.val_dataloader = config.test_dataloader
    config.custom_hooks[0].update(val=True, interval=2)
    Runner.from_cfg(config).val()
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '00000_0.png', '00002_0.png', '00004_0.png']


def test_pictures_go_to_the_backends(config):
    config.custom_hooks[0].pop('out_dir')
    config.visualizer = dict(type='LocalizationVisualizer',
                             vis_backends=[dict(type='LocalVisBackend')])
    files = run(config)
    assert [file.name for file in files] == [f'0000{i}_0.png' for i in range(5)]
    assert mmcv.imread(files[0]).shape[1] == 4 * 96  # of the input, since there are no files


def test_backends_of_another_visualizer_are_an_error():
    runner = SimpleNamespace(visualizer=UniversalVisualizer(),
                             test_dataloader=SimpleNamespace(dataset=None))
    with pytest.raises(ValueError, match='UniversalVisualizer cannot draw.*vis_backends'):
        LocalizationVisualizationHook().before_test(runner)
