import json
import pickle
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample

from cicam_mm.apis import WSOLInferencer
from cicam_mm.utils.errors import UserError

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'cicam_tiny_shapes.py'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Eight images of the demo set, written to disk in sizes of their own, with a box each."""
    root, boxes = tmp_path_factory.mktemp('data'), ['path,x0,y0,x1,y1']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(dict(type='ConfoundedShapes', split='test', num_images=8))
    for i in range(8):
        info = dataset.get_data_info(i)
        name = f'{"abcdef"[info["gt_label"]]}/{i}.{"jpg" if i % 2 else "png"}'
        mmcv.imwrite(mmcv.imresize(info['img'], (100 + 17 * i, 90)), str(root / 'images' / name))
        boxes.append(f'images/{name},10,10,60,60')
    (root / 'boxes.csv').write_text('\n'.join(boxes))
    return root


def test_results_of_one_image(inferencer, data, tmp_path):
    path = data / 'images' / 'a' / '0.png'
    result, = inferencer(path, show_dir=tmp_path / 'shown')
    assert (result['img_path'], result['sample_idx']) == (str(path), 0)
    scores = result['pred_scores']
    assert scores.shape == (6, ) and scores.sum() == pytest.approx(1)
    assert result['pred_label'] == scores.argmax() and result['pred_score'] == scores.max()
    assert result['pred_class'] == 'abcdef'[result['pred_label']]
    x0, y0, x1, y1 = result['pred_box']
    assert 0 <= x0 < x1 <= 100 and 0 <= y0 < y1 <= 90
    assert result['score_map'].shape == (24, 24) and result['score_map'].min() == 0
    assert mmcv.imread(tmp_path / 'shown' / '00000_0.png').shape[1] == 4 * 100


def test_folder_glob_list_and_array_agree(inferencer, data):
    files = sorted(str(path) for path in (data / 'images').rglob('*.*'))
    given = inferencer(files, batch_size=3)
    others = [
        inferencer(str(data / 'images'), batch_size=8),
        inferencer(data / '**' / '*.*g', batch_size=2),
        inferencer([mmcv.imread(file) for file in files], batch_size=8),
    ]
    for results in others:
        for i, (result, expected) in enumerate(zip(results, given, strict=True)):
            assert result['sample_idx'] == i
            assert result['pred_box'] == expected['pred_box']
            np.testing.assert_allclose(result['score_map'], expected['score_map'], atol=1e-4)
    assert others[0][0]['img_path'] == files[0] and others[2][0]['img_path'] is None


def test_grey_array_and_data_samples(inferencer):
    sample, = inferencer(np.zeros((5, 7), np.uint8), return_datasamples=True)
    assert isinstance(sample, DataSample) and sample.ori_shape == (5, 7)


def test_boxes_are_those_of_the_test_command(inferencer, checkpoint, data, tmp_path, run_tool):
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.dataset = dict(
        type='FolderLocalization', data_root=str(data), data_prefix='images',
        box_file='boxes.csv', test_mode=True,
        pipeline=[dict(type='LoadWSOLImage'), *cfg.test_pipeline])
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False, batch_size=5)
    cfg.test_evaluator = [
        cfg.test_evaluator, dict(type='DumpResults', out_file_path=str(tmp_path / 'dump.pkl'))]
    cfg.dump(tmp_path / 'config.py')
    run_tool('test.py', tmp_path / 'config.py', checkpoint, '--work-dir', tmp_path / 'work',
             '--out', tmp_path / 'metrics.json')

    expected = pickle.loads((tmp_path / 'dump.pkl').read_bytes())
    results = inferencer([sample['img_path'] for sample in expected], batch_size=5)
    assert len(results) == 8 and 'wsol/top1_loc' in json.loads(
        (tmp_path / 'metrics.json').read_text())
    for result, sample in zip(results, expected, strict=True):
        assert result['pred_box'] == sample['pred_box'].tolist()
        assert result['pred_label'] == int(sample['pred_label'])
        np.testing.assert_array_equal(result['score_map'], sample['score_map'].numpy())
    assert len({tuple(result['pred_box']) for result in results}) > 1


def test_two_views(checkpoint, data):
    cfg = Config.fromfile(CONFIG)
    cfg.model.type = 'TwoViewClassifier'
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadWSOLImage'),
        dict(type='TestTimeAug', transforms=[
            [dict(type='CenterCrop', crop_size=(90, 90)), dict(type='Resize', scale=(96, 96))],
            [dict(type='Resize', scale=(96, 96))],
            [dict(type='LoadAnnotations', with_bbox=True, with_label=False)],
            [dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))]]),
    ]
    results = WSOLInferencer(cfg, checkpoint)(data / 'images', batch_size=3)
    assert len(results) == 8 and results[0]['score_map'].shape == (24, 24)


def test_names_of_classes(inferencer, checkpoint, tmp_path):
    """Those of the checkpoint, else of the config if they are as many as the model's."""
    assert inferencer.classes == tuple('abcdef')
    assert WSOLInferencer(str(CONFIG), checkpoint, classes='uvwxyz').classes == 'uvwxyz'
    content, path = torch.load(checkpoint), tmp_path / 'a.pth'
    torch.save(dict(content, meta={}), path)
    assert WSOLInferencer(str(CONFIG), path).classes[0] == 'striped'
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.dataset = dict(
        type='CustomDataset', metainfo=dict(classes=tuple('ghijkl')), pipeline=cfg.test_pipeline)
    assert WSOLInferencer(cfg, path).classes == tuple('ghijkl')
    # a config that inherits ImageNet's data set has its 1,000 names, whatever its head
    cfg.test_dataloader.dataset = dict(type='ImageNet', pipeline=cfg.test_pipeline)
    assert WSOLInferencer(cfg, path).classes is None
    with pytest.raises(UserError, match='list names 3 classes, but the model has 6'):
        WSOLInferencer(cfg, path, classes=['a', 'b', 'c'])
    torch.save(dict(content, meta=dict(dataset_meta=dict(classes=('a', 'b')))), path)
    with pytest.raises(UserError, match='a.pth names 2 classes, but the model has 6'):
        WSOLInferencer(cfg, path)


@pytest.mark.parametrize(('change', 'says'), [
    (lambda names: names[::-1], "has '.*' for class 0, but the checkpoint has it for class 5; "),
    (lambda names: [*names[:5], names[0]], 'the given list has 2 classes named'),
])
def test_given_names_do_not_swap_classes(inferencer, checkpoint, change, says):
    with pytest.raises(UserError, match=says):
        WSOLInferencer(str(CONFIG), checkpoint, classes=change([*inferencer.classes]))


def test_unreadable_inputs_end_the_run_or_are_skipped(inferencer, data, tmp_path):
    good = data / 'images' / 'a' / '0.png'
    (tmp_path / 'a.png').write_text('no image')
    with pytest.raises(OSError, match='a.png'):
        inferencer([good, tmp_path / 'a.png'])
    inputs = [tmp_path / 'a.png', good, 'lost.png', mmcv.imread(good), good]
    results = inferencer(inputs, batch_size=2, skip_unreadable=True)
    assert [result['sample_idx'] for result in results] == [*range(5)]
    assert results[2] == dict(sample_idx=2, img_path='lost.png',
                              left_out="'lost.png' does not exist; check the path.")
    assert results[0].keys() == results[2].keys() and 'a.png' in results[0]['left_out']
    expected, = inferencer(good)
    assert {tuple(results[i]['pred_box']) for i in (1, 3, 4)} == {tuple(expected['pred_box'])}
    samples = inferencer(inputs[:2], return_datasamples=True, skip_unreadable=True)
    assert 'a.png' in samples[0].left_out and 'pred_box' in samples[1]


def test_a_batch_of_large_photos_fits(inferencer, tmp_path, bounded_memory):
    """Ten of 16 megapixels, which decoded have 480 MB."""
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((3200, 5000), 99, np.uint8))
    with bounded_memory(300 * 2**20):
        results = [*inferencer.stream(10 * [tmp_path / 'a.jpg'], 10)]
    assert [sample.ori_shape for _, sample in results] == 10 * [(3200, 5000)]
    assert max(image.shape[0] * image.shape[1] for image, _ in results) <= 4_010_000


def test_models_it_cannot_use(checkpoint):
    cfg = Config.fromfile(CONFIG)
    cfg.model.head.localizer.frame = 'input'
    with pytest.raises(ValueError, match="frame='original'"):
        WSOLInferencer(cfg, checkpoint)
    cfg.model.head = dict(type='LinearClsHead', num_classes=6, in_channels=32)
    cfg.model.neck = dict(type='GlobalAveragePooling')
    with pytest.raises(UserError, match='LinearClsHead does not localize'):
        WSOLInferencer(cfg, False)
