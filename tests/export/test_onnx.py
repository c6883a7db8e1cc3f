"""Exported models give what torch gives, and need no torch."""
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

from cicam_lite import OnnxLocalizer
from cicam_mm.apis import WSOLInferencer
from cicam_mm.export import check_export, export_onnx
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.stack import is_exporting

ROOT = Path(__file__).parents[2]
RESNET = dict(_delete_=True, type='ResNet', depth=18, stem_channels=8, base_channels=8)
VARIANTS = {
    'CI-CAM': dict(),
    'CAM, a box a class': {'model.head.localizer': dict(
        _delete_=True, map_rule='top1', box_rule='wsoleval', theta=.2)},
    'non-local blocks': {'model.backbone.non_local_stages': (2, 3)},
    'DANet': dict(config='danet/danet_tiny_shapes.py'),
    'BAS': dict(config='bas/bas_tiny_shapes.py'),
    'DDT': dict(config='ddt/ddt_tiny_shapes.py'),
    'ResNet, DANet rule': {
        'model.backbone': RESNET, 'model.head.in_channels': 64, 'model.head.pool.size': (3, 3),
        'model.head.localizer': dict(
            _delete_=True, map_rule='linear', box_rule='danet', theta=.3)},
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
    model = get_model(cfg, device='cpu')
    for name, tensor in model.state_dict().items():
        if re.search(r'fc\.weight|pool\.pool|norm\.weight|component|_mean', name):
            torch.nn.init.normal_(tensor)
    return WSOLInferencer(model)


@pytest.mark.parametrize('options', VARIANTS.values(), ids=VARIANTS)
def test_scores_and_boxes_are_those_of_torch(options, files, tmp_path):
    inferencer = load(**options)
    out = tmp_path / 'model.onnx'
    export_onnx(inferencer, out)
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
    assert check_export(inferencer, out, files)['images'] == 5


def test_what_differs_is_found(files, tmp_path):
    inferencer = load()
    export_onnx(inferencer, tmp_path / 'model.onnx')
    inferencer.model.head.localizer.theta = .9
    torch.nn.init.normal_(inferencer.model.head.fc.bias)
    found = check_export(inferencer, tmp_path / 'model.onnx', files)
    assert found['score'] > 1e-3 and found['moved'] == 5 and found['box'] > 3


@pytest.fixture(scope='module')
def transparent(tmp_path_factory):
    """A PNG whose colours, hidden left of the middle, are those of another picture."""
    noise = np.random.default_rng(9).integers(0, 256, (6, 7, 4), dtype=np.uint8)
    picture = cv2.resize(noise, (90, 110), interpolation=cv2.INTER_CUBIC)
    picture[:, :45, 3] = 0
    path = tmp_path_factory.mktemp('transparent') / 'a.png'
    cv2.imwrite(str(path), picture)
    return str(path)


class ReadsOtherwise(OnnxLocalizer):

    def __call__(self, images):
        return super().__call__([image if isinstance(image, np.ndarray) else cv2.imread(image)
                                 for image in images])


def test_transparency_turns_white(transparent, tmp_path, monkeypatch):
    inferencer = load()
    out = tmp_path / 'model.onnx'
    monkeypatch.setattr('cicam_mm.export.onnx.OnnxLocalizer', ReadsOtherwise)
    # compares models, not what reads their images
    assert export_onnx(inferencer, out, [transparent])['score'] < 1e-5
    localizer = OnnxLocalizer(out)
    whole = cv2.imread(transparent, cv2.IMREAD_UNCHANGED).astype(float)
    color, alpha = whole[..., :3], whole[..., 3:]
    white = np.rint((color * alpha + 255 * (255 - alpha)) / 255).astype(np.uint8)
    results = localizer([transparent, white, white[:, :, :3] * (alpha > 0).astype(np.uint8)])
    scores = [result['pred_scores'] for result in results]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert abs(scores[1] - scores[2]).max() > 1e-3
    np.testing.assert_allclose(scores[0], inferencer(transparent)[0]['pred_scores'], atol=1e-3)


class Deceptive(torch.nn.Module):
    """In the exported model other than in torch."""

    def forward(self, x):
        return (x[-1].flip(1) if is_exporting() else x[-1], )


def test_a_file_that_differs_does_not_take_its_place(files, tmp_path):
    inferencer = load()
    inferencer.model.neck = Deceptive()
    out = tmp_path / 'model.onnx'
    out.write_bytes(b'old')
    with pytest.raises(UserError, match='model.onnx was not written, because .* differs'):
        export_onnx(inferencer, out, files[:1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'model.onnx': b'old'}


CODE = """
import sys
sys.modules.update(dict.fromkeys(['torch', 'mmengine', 'mmcv', 'mmpretrain', 'cicam_mm', 'PIL']))
import json
from cicam_lite import OnnxLocalizer
print(json.dumps([result['pred_box'] for result in OnnxLocalizer(sys.argv[1])(sys.argv[2:])]))
"""


def test_without_torch_in_a_fresh_process(files, tmp_path):
    inferencer = load()
    export_onnx(inferencer, tmp_path / 'model.onnx')
    done = subprocess.run([sys.executable, '-c', CODE, tmp_path / 'model.onnx', *files], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [result['pred_box'] for result in inferencer(files)]


@pytest.mark.parametrize('pipeline, sentence', [
    ([dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=96)],
     'consists of ResizeEdge, CenterCrop'),
    ([dict(type='Resize', scale=(96, 96), backend='pillow')], 'resizes with pillow'),
])
def test_other_preparations_are_refused(pipeline, sentence, tmp_path):
    inferencer = load()
    inferencer.config.test_dataloader.dataset.pipeline = pipeline
    with pytest.raises(UserError, match=sentence):
        export_onnx(inferencer, tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


def test_heads_without_maps_are_refused(tmp_path):
    inferencer = load(**{'model.head': dict(
        _delete_=True, type='PSOLHead', num_classes=6, in_channels=32)})
    with pytest.raises(UserError, match='cannot be exported: PSOLHead predicts a box without a'):
        export_onnx(inferencer, tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


class OfTwo(torch.nn.Module):

    def forward(self, x):
        return (x[-1].view(2, *x[-1].shape[1:]), )


def test_models_for_one_size_of_batches_are_refused(tmp_path):
    inferencer = load()
    inferencer.model.neck = OfTwo()
    with pytest.raises(UserError, match='cannot be exported for batches of any size'):
        export_onnx(inferencer, tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


class Exotic(torch.nn.Module):

    def forward(self, x):
        return (torch.special.bessel_j0(x), )


def test_operators_that_onnx_has_not_are_named(tmp_path):
    inferencer = load()
    inferencer.model.neck = Exotic()
    with pytest.raises(UserError, match='this model cannot be exported: .*bessel_j0'):
        export_onnx(inferencer, tmp_path / 'model.onnx')


def test_models_of_others_are_refused(tmp_path):
    import onnx

    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in 'xy')
    model = onnx.helper.make_model(onnx.helper.make_graph([node], 'other', [x], [y]))
    model.ir_version = 9
    onnx.save(model, tmp_path / 'other.onnx')
    with pytest.raises(ValueError, match='other.onnx says nothing about localization'):
        OnnxLocalizer(tmp_path / 'other.onnx')


def test_command_line(run_tool, tmp_path, files, capsys):
    inferencer = load()
    checkpoint = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta={}, state_dict=inferencer.model.state_dict()), checkpoint)
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = '{ROOT}/configs/cicam_tiny_shapes.py'\n"
                      'test_dataloader = dict(dataset=dict(num_images=3))\n')
    run_tool('export_onnx.py', config, checkpoint, tmp_path / 'model.onnx')
    output = capsys.readouterr().out
    assert 'On 3 images class scores differ by at most' in output
    assert ' and 0 boxes by up to 0 pixels.' in output
    assert len(OnnxLocalizer(tmp_path / 'model.onnx')(files)) == 5
