from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmpretrain.apis import get_model

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.inferencer import prepare
from cicam_mm.app import keep_maps, localize_again, view
from cicam_mm.app.view import look
from cicam_mm.localization import CombinationalLocalizer
from cicam_mm.visualization import Style

CONFIGS = Path(__file__).parents[2] / 'configs'
SETTINGS = [dict(zip(('map_rule', 'box_rule', 'theta'), values, strict=True)) for values in (
    ('quadratic', 'ci_cam', 0.), ('top1', 'wsoleval', .2), ('top1', 'danet', .5),
    ('linear', 'rethinking', .4))]


@pytest.fixture(scope='module', params=[
    'cicam_tiny_shapes.py', 'danet/danet_tiny_shapes.py', 'acol/acol_tiny_shapes.py'])
def inferencer(request):
    cfg = Config.fromfile(CONFIGS / request.param)
    cfg.model.backbone.pop('init_cfg', None)
    model = get_model(cfg, device='cpu')
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if name.startswith('head') and weight.ndim > 1:
            torch.nn.init.normal_(weight, std=.3)
    return WSOLInferencer(model)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (80, 110, 3), dtype=np.uint8)


def test_other_settings_give_what_the_network_gives_with_them(inferencer, image, monkeypatch):
    head, own, passes = inferencer.model.head, inferencer.model.head.localizer, []
    handle = inferencer.model.backbone.register_forward_hook(lambda *_: passes.append(1))
    kept = keep_maps(inferencer, image, (80, 110))
    assert head.localizer is own and kept.sample.ori_shape == (80, 110)
    assert localize_again(kept, own).box == kept.sample.pred_box.tolist()
    found = [localize_again(kept, own.with_settings(**each)) for each in SETTINGS]
    handle.remove()
    assert len(passes) == 1
    assert len({tuple(each.box) for each in found}) > 1
    for settings, (score_map, box) in zip(SETTINGS, found, strict=True):
        monkeypatch.setattr(head, 'localizer', CombinationalLocalizer(**settings))
        expected, = inferencer(image[..., ::-1])
        np.testing.assert_array_equal(score_map, expected['score_map'])
        assert box == expected['pred_box']


def test_a_model_of_two_views(image):
    """As the released configs have it."""
    cfg = Config.fromfile(CONFIGS / 'cicam_tiny_shapes.py')
    cfg.model.backbone.pop('init_cfg', None)
    cfg.model.type = 'TwoViewClassifier'
    resize, _, pack = cfg.test_dataloader.dataset.pipeline
    crop = [dict(resize, scale=(120, 120)), dict(type='CenterCrop', crop_size=96)]
    cfg.test_dataloader.dataset.pipeline = [dict(type='TestTimeAug', transforms=[
        [dict(type='Compose', transforms=crop), resize], [dict(pack, algorithm_keys=())]])]
    two_views = WSOLInferencer(get_model(cfg, device='cpu'))
    expected, = two_views(image[..., ::-1])
    kept = keep_maps(two_views, image, (80, 110))
    np.testing.assert_array_equal(kept.sample.pred_score, expected['pred_scores'])
    np.testing.assert_array_equal(kept.sample.score_map, expected['score_map'])
    assert localize_again(kept, kept.head.localizer).box == expected['pred_box']


@pytest.mark.parametrize('settings', SETTINGS[:2], ids=['quadratic', 'top1'])
def test_another_class_gives_what_the_network_gives_for_it(
        inferencer, image, settings, monkeypatch):
    kept = keep_maps(inferencer, image, (80, 110))
    localizer = inferencer.model.head.localizer.with_settings(**settings)
    monkeypatch.setattr(inferencer.model.head, 'localizer', localizer)
    for label in range(6):
        expected, = inferencer.predict(default_collate([
            prepare(inferencer.pipeline, image, (80, 110), gt_label=label)]))
        score_map, box = localize_again(kept, localizer, label)
        np.testing.assert_array_equal(score_map, expected.label_map)
        assert box == expected.label_box.tolist()


def test_each_model_gets_the_image_as_its_own_pipeline_decodes_it(monkeypatch):
    seen, reads = [], []
    monkeypatch.setattr(view, 'keep_maps', lambda _, image, ori_shape: seen.append(
        (image.shape[:2], ori_shape)))
    content = cv2.imencode('.jpg', np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    models = [SimpleNamespace(max_pixels=limit) for limit in (2400, 2399, 2400)]
    panel = look(models, lambda: reads.append(1) or content, 'a.jpg', Style()).panel
    assert seen == [((40, 60), (40, 60)), ((20, 30), (40, 60)), ((40, 60), (40, 60))]
    assert len(reads) == 2 and panel.shape == (427, 640, 3)
