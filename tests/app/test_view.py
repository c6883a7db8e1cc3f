from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.inferencer import collate, prepare
from cicam_mm.app import keep_maps, localize_again, view
from cicam_mm.app.view import look
from cicam_mm.localization import CombinationalLocalizer
from cicam_mm.visualization import Style

CONFIGS = Path(__file__).parents[2] / 'configs'
SETTINGS = [('quadratic', 'ci_cam', 0.), ('top1', 'wsoleval', .2), ('top1', 'danet', .5),
            ('linear', 'rethinking', .4)]


def set_to(localizer, settings):
    return localizer.with_settings(
        **dict(zip(('map_rule', 'box_rule', 'theta'), settings, strict=True)))


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


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (80, 110, 3), dtype=np.uint8)


@pytest.fixture
def passes(inferencer):
    counted = []
    handle = inferencer.model.backbone.register_forward_hook(lambda *_: counted.append(1))
    yield counted
    handle.remove()


def test_other_settings_give_what_the_network_gives_with_them(inferencer, image, passes):
    head, own = inferencer.model.head, inferencer.model.head.localizer
    kept = keep_maps(inferencer, image, (80, 110))
    assert head.localizer is own and kept.sample.ori_shape == (80, 110)
    assert localize_again(kept, own).box == kept.sample.pred_box.tolist()
    found = [localize_again(kept, set_to(own, each)) for each in SETTINGS]
    assert len(passes) == 1
    assert len({tuple(each.box) for each in found}) > 1
    try:
        for settings, (score_map, box) in zip(SETTINGS, found, strict=True):
            head.localizer = CombinationalLocalizer(*settings)
            expected, = inferencer(image[..., ::-1])
            np.testing.assert_array_equal(score_map, expected['score_map'])
            assert box == expected['pred_box']
    finally:
        head.localizer = own


@pytest.mark.parametrize('settings', SETTINGS[:2])
def test_another_class_gives_what_the_network_gives_for_it(inferencer, image, settings):
    head, own = inferencer.model.head, inferencer.model.head.localizer
    kept = keep_maps(inferencer, image, (80, 110))
    head.localizer = localizer = set_to(own, settings)
    try:
        for label in range(6):
            expected, = inferencer.predict(collate([
                prepare(inferencer.pipeline, image, (80, 110), gt_label=label)]))
            score_map, box = localize_again(kept, localizer, label)
            np.testing.assert_array_equal(score_map, expected.label_map)
            assert box == expected.label_box.tolist()
    finally:
        head.localizer = own


def test_each_model_gets_the_image_as_its_own_pipeline_decodes_it(monkeypatch):
    seen, reads = [], []
    monkeypatch.setattr(view, 'keep_maps', lambda _, image, ori_shape: seen.append(
        (image.shape[:2], ori_shape)))
    content = cv2.imencode('.jpg', np.zeros((40, 60, 3), np.uint8))[1].tobytes()

    def read():
        reads.append(1)
        return content

    models = [SimpleNamespace(max_pixels=limit) for limit in (2400, 2399, 2400)]
    panel = look(models, read, 'a.jpg', Style()).panel
    assert seen == [((40, 60), (40, 60)), ((20, 30), (40, 60)), ((40, 60), (40, 60))]
    assert len(reads) == 2 and panel.shape == (427, 640, 3)
