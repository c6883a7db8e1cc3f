"""Exported models give what torch gives, and need no torch."""
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model
from mmpretrain.registry import TRANSFORMS

from cicam_lite import OnnxLocalizer
from cicam_lite.onnx_localizer import INTERPOLATIONS, METADATA, ModelError
from cicam_mm.apis import WSOLInferencer
from cicam_mm.export import check_export, export_onnx
from cicam_mm.export.onnx import describe_preparation
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.stack import is_exporting

ROOT = Path(__file__).parents[2]
#: Models, and the opset that each is exported for.
VARIANTS = {
    'CI-CAM, non-local block': (17, {'model.backbone.non_local_stages': (3, )}),
    'ACoL': (18, {'config': 'acol/acol_tiny_shapes.py', 'model.head.num_boxes': 2}),
    'DANet': (20, dict(config='danet/danet_tiny_shapes.py')),
    'BAS': (19, dict(config='bas/bas_tiny_shapes.py')),
    'DDT': (17, dict(config='ddt/ddt_tiny_shapes.py')),
}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Five pictures of several sizes with hills in them."""
    folder = tmp_path_factory.mktemp('images')
    for i in range(5):
        noise = np.random.default_rng(i).integers(0, 256, (6, 7, 3), dtype=np.uint8)
        picture = cv2.resize(noise, (90 + 20 * i, 110), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'{i}.{"jpg" if i % 2 else "png"}'), picture)
    return sorted(map(str, folder.iterdir()))


def load(config='cicam_tiny_shapes.py', **options):
    cfg = Config.fromfile(ROOT / 'configs' / config)
    cfg.merge_from_dict(options)
    cfg.model.backbone.pop('init_cfg', None)
    torch.manual_seed(0)
    model = get_model(cfg, device='cpu')
    for name, tensor in model.state_dict().items():
        if re.search(r'fc\.weight|pool\.pool|norm\.weight|component|_mean', name):
            torch.nn.init.normal_(tensor)
    return WSOLInferencer(model)


@pytest.mark.parametrize(('opset', 'options'), VARIANTS.values(), ids=VARIANTS)
def test_scores_and_boxes_are_those_of_torch(opset, options, files, tmp_path):
    inferencer = load(**options)
    out = tmp_path / 'model.onnx'
    export_onnx(inferencer, out, opset=opset)
    assert [each.version for each in onnx.load(out).opset_import] == [opset]
    results = OnnxLocalizer(out)(files)  # in one batch, torch one by one
    assert len({tuple(result['pred_box']) for result in results}) > 1
    for result, expected in zip(
            results, inferencer(files, return_datasamples=True), strict=True):
        np.testing.assert_allclose(result['pred_scores'], expected.pred_score, atol=1e-4)
        assert result['top_labels'] == expected.top_labels.tolist()
        assert result['pred_class'] == inferencer.classes[expected.pred_label]
        difference = np.subtract(result['top_boxes'], expected.pred_boxes)
        assert abs(difference).max() <= 1 and np.count_nonzero(difference) <= 1
        scale = expected.score_map.max().item()
        np.testing.assert_allclose(result['score_map'], expected.score_map, atol=1e-4 * scale)


@pytest.fixture(scope='module')
def inferencer():
    return load()


@pytest.mark.parametrize('opset', [16, 21])
def test_other_opsets_are_refused(inferencer, tmp_path, opset):
    with pytest.raises(UserError, match=f'not exported to opset {opset}; take one of 17 to 20'):
        export_onnx(inferencer, tmp_path / 'model.onnx', opset=opset)


@pytest.fixture(scope='module')
def exported(inferencer, run_tool, tmp_path_factory):
    """A file that the command line writes; beside it is what that says."""
    folder = tmp_path_factory.mktemp('exported')
    torch.save(dict(meta={}, state_dict=inferencer.model.state_dict()), folder / 'epoch_1.pth')
    (folder / 'config.py').write_text(f"_base_ = '{ROOT}/configs/cicam_tiny_shapes.py'\n"
                                      'test_dataloader = dict(dataset=dict(num_images=3))\n')
    with (folder / 'said.txt').open('w') as said, redirect_stdout(said):
        run_tool('export_onnx.py', folder / 'config.py', folder / 'epoch_1.pth',
                 folder / 'model.onnx', '--opset', 19)
    return folder / 'model.onnx'


def test_command_line(exported):
    said = exported.with_name('said.txt').read_text()
    assert 'On 3 images class scores differ by at most' in said
    assert ' and 0 boxes by up to 0 pixels.' in said
    assert onnx.load(exported).opset_import[0].version == 19


def test_what_differs_is_found(exported, files):
    other = load()
    other.model.head.localizer.theta = .9
    torch.nn.init.normal_(other.model.head.fc.bias)
    found = check_export(other, exported, files)
    assert found['images'] == found['moved'] == 5
    assert found['score'] > 1e-3 and found['box'] > 3


def rewritten(exported, path, change):
    """A copy of an exported model in which something is changed."""
    model = onnx.load(exported)
    change(model)
    onnx.save(model, path)
    return path


def telling(**metadata):
    """A change of the metadata."""
    return lambda model: onnx.helper.set_model_props(model, {
        METADATA: json.dumps(json.loads(model.metadata_props[0].value) | metadata)})


@pytest.mark.parametrize('interpolation', INTERPOLATIONS)
def test_every_interpolation_gives_the_pixels_of_the_pipeline(
        inferencer, exported, files, tmp_path, interpolation):
    cfg = inferencer.config.copy()
    resize, = [step for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize']
    resize.interpolation = interpolation
    localizer = OnnxLocalizer(rewritten(
        exported, tmp_path / 'model.onnx', telling(**describe_preparation(cfg))))
    image = cv2.imread(files[0])
    expected = TRANSFORMS.build(resize).transform(dict(img=image))['img']
    np.testing.assert_array_equal(localizer._prepare(image), expected)


def weights_that_are_not_finite(model):
    for each in model.graph.initializer:
        if each.name.endswith('fc.bias'):
            each.raw_data = np.full(each.dims, np.nan, np.float32).tobytes()


@pytest.mark.parametrize(('damage', 'sentence'), [
    *[(telling(**change), 'is damaged: its metadata do not say .*; export it again')
      for change in (
        dict(theta=5), dict(theta=float('nan')), dict(theta='0.2'), dict(interpolation='max'),
        dict(box_rule='big'), dict(box_rule=None), dict(box_rule=dict(type='ci_cam', region='x')),
        dict(box_rule=dict(type='ci_cam', resizing='x')))],
    *[(lambda model, text=text: onnx.helper.set_model_props(model, {METADATA: text}),
       'is damaged: its metadata do not say')
      for text in ('{', '[1]', '{}', '[' * 100_000)],
    (telling(classes=[*'uvwxy']), 'is damaged: it gives scores that are not one finite number'),
    (weights_that_are_not_finite, 'is damaged: it gives scores that are not one finite number'),
    (lambda model: model.graph.output.pop(0), 'cannot be run: '),
    (lambda model: model.graph.ClearField('node'), 'cannot be loaded: '),
    (lambda model: model.ClearField('metadata_props'), 'says nothing about localization'),
])
def test_models_that_no_export_writes_are_refused(exported, files, tmp_path, damage, sentence):
    with pytest.raises(ModelError, match=f'bad.onnx {sentence}'):
        OnnxLocalizer(rewritten(exported, tmp_path / 'bad.onnx', damage))(files[:1])


def test_pipes_and_devices_are_refused(exported, tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in tmp_path / 'pipe', '/dev/zero', tmp_path, tmp_path / 'nothing':
        with pytest.raises(OSError, match=f'{path} does not exist or is not a regular file'):
            OnnxLocalizer(path)
        with pytest.raises(OSError, match=f'{path} .* is not a regular file'):
            OnnxLocalizer(exported)([path])


def test_transparency_turns_white(inferencer, exported, tmp_path):
    """The colours left of the middle, which nobody sees, are those of another picture."""
    noise = np.random.default_rng(9).integers(0, 256, (6, 7, 4), dtype=np.uint8)
    picture = cv2.resize(noise, (90, 110), interpolation=cv2.INTER_CUBIC)
    picture[:, :45, 3] = 0
    transparent = str(tmp_path / 'a.png')
    cv2.imwrite(transparent, picture)
    assert check_export(inferencer, exported, [transparent])['score'] < 1e-5
    color, alpha = picture[..., :3].astype(float), picture[..., 3:].astype(float)
    white = np.rint((color * alpha + 255 * (255 - alpha)) / 255).astype(np.uint8)
    black = white * (alpha > 0).astype(np.uint8)
    scores = [result['pred_scores'] for result in OnnxLocalizer(exported)(
        [transparent, white, black])]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert abs(scores[1] - scores[2]).max() > 1e-3
    np.testing.assert_allclose(scores[0], inferencer(transparent)[0]['pred_scores'], atol=1e-3)


CODE = """
import sys
sys.modules.update(dict.fromkeys(['torch', 'mmengine', 'mmcv', 'mmpretrain', 'cicam_mm', 'PIL']))
import json
from cicam_lite import OnnxLocalizer
print(json.dumps([result['pred_box'] for result in OnnxLocalizer(sys.argv[1])(sys.argv[2:])]))
"""


def test_without_torch_in_a_fresh_process(inferencer, exported, files):
    done = subprocess.run([sys.executable, '-c', CODE, exported, *files], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [result['pred_box'] for result in inferencer(files)]


@pytest.mark.parametrize('pipeline, sentence', [
    ([dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=96)],
     'consists of ResizeEdge, CenterCrop'),
    ([dict(type='Resize', scale_factor=.5)], 'consists of Resize'),
    ([dict(type='Resize', scale=(96, 96), backend='pillow')], 'resizes with pillow'),
    ([dict(type='Resize', scale=96, interpolation='sinc')], "interpolation 'sinc', which"),
])
def test_other_preparations_are_refused(inferencer, pipeline, sentence):
    cfg = inferencer.config.copy()
    cfg.test_dataloader.dataset.pipeline = pipeline
    with pytest.raises(UserError, match=sentence):
        describe_preparation(cfg)


def test_a_resize_may_have_its_scope(inferencer):
    cfg = inferencer.config.copy()
    cfg.test_dataloader.dataset.pipeline = [dict(type='mmcv.Resize', scale=(96, 64))]
    assert describe_preparation(cfg)['size'] == [64, 96]


class Backbone(torch.nn.Module):
    """A convolution whose feature map is changed."""

    def __init__(self, change):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 32, 4, stride=4)
        self.change = change

    def forward(self, x):
        return (self.change(self.convolution(x)), )


PSOL = {'model.head': dict(_delete_=True, type='PSOLHead', num_classes=6, in_channels=32)}


@pytest.mark.parametrize(('change', 'options', 'sentence'), [
    (lambda x: x.flip(1) if is_exporting() else x, {},
     'model.onnx was not written, because .* differs'),
    (lambda x: x.view(2, *x.shape[1:]), {}, 'cannot be exported for batches of any size'),
    (torch.special.bessel_j0, {}, 'this model cannot be exported: .*bessel_j0'),
    (torch.relu, PSOL, 'cannot be exported: PSOLHead predicts a box without a')])
def test_what_cannot_be_exported_replaces_no_file(files, tmp_path, change, options, sentence):
    inferencer = load(**options)
    inferencer.model.backbone = Backbone(change)
    out = tmp_path / 'model.onnx'
    out.write_bytes(b'old')
    with pytest.raises(UserError, match=sentence):
        export_onnx(inferencer, out, files[:1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'model.onnx': b'old'}
