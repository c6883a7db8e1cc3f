"""Score maps in files: the reference's numbers from its own kind of files, and every mistake."""
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmpretrain.registry import MODELS

from cicam_mm.apis import TestSet
from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.datasets.scene import PATTERNS
from cicam_mm.evaluation import MaskIoU, MaxBoxAcc, PxAP
from cicam_mm.evaluation.pooled_metric import curves_of, judged_map
from cicam_mm.evaluation.score_maps import (
    find_score_maps,
    judge_score_maps,
    read_score_map,
    write_score_map,
)
from cicam_mm.utils.errors import UserError

ROOT = Path(__file__).parents[2]
PIPELINE = [
    dict(type='LoadWSOLImage'), dict(type='Resize', scale=(224, 224)),
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))]


def write_lists(folder, cases):
    """A data set of black images with the boxes of the cases, in the reference's lists."""
    lists = {name: [] for name in ('image_ids', 'class_labels', 'image_sizes', 'localization')}
    for number, case in enumerate(cases):
        name, (width, height) = f'val/{number}.JPEG', case['image_size']
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((height, width), np.uint8))
        lists['image_ids'].append(name)
        lists['class_labels'].append(f'{name},0')
        lists['image_sizes'].append(f'{name},{width},{height}')
        lists['localization'] += [f'{name},{",".join(map(str, box))}' for box in case['boxes']]
    for name, lines in lists.items():
        (folder / f'{name}.txt').write_text('\n'.join(lines))
    data = dict(type='WSOLEvalLocalization', data_root=str(folder), list_root=str(folder),
                pipeline=PIPELINE, test_mode=True)
    return Config(dict(test_dataloader=dict(dataset=data)))


@pytest.fixture(scope='module')
def reference(wsoleval_reference_path):
    return json.loads(wsoleval_reference_path.read_text())


@pytest.fixture(scope='module')
def judged(shared, reference, tmp_path_factory):
    """Folder of the maps as the reference's code saves them, and the config of their data."""
    make = runpy.run_path(str(shared / 'parity' / 'score_maps.py'))['cases']
    cases, folder = list(make(reference['seed'], reference['count'])), tmp_path_factory.mktemp('m')
    (folder / 'scoremaps' / 'val').mkdir(parents=True)
    for number, case in enumerate(cases):
        np.save(folder / 'scoremaps' / 'val' / f'{number}.JPEG.npy', case['score_map'])
    return folder / 'scoremaps', write_lists(folder / 'data', cases)


def test_the_references_numbers_to_the_last_digit(judged, reference):
    folder, cfg = judged
    metrics = judge_score_maps(cfg, folder).metrics
    single = reference['interval_0.001_multi_contour_False']
    several = reference['interval_0.001_multi_contour_True']
    assert metrics['max_box_acc'] == single['max_box_acc']['50']
    assert metrics['max_box_acc_threshold'] == single['best_threshold']['50']
    for iou, accuracy in several['max_box_acc'].items():
        assert metrics[f'max_box_acc_v2_iou{iou}'] == accuracy
    assert metrics['max_box_acc_v2'] == several['max_box_acc_v2']


def test_maps_of_a_crop_are_judged_by_boxes_in_the_crop(tmp_path):
    cfg = write_lists(tmp_path, [dict(image_size=(100, 50), boxes=[[50, 25, 75, 37.5]])])
    load, _, annotate, pack = PIPELINE
    cfg.test_dataloader.dataset.pipeline = [
        load, annotate, dict(type='Resize', scale=(40, 40)), dict(type='CenterCrop', crop_size=20),
        pack]
    score_map = np.zeros((20, 20))
    score_map[10:, 10:] = 1  # 20 to 30 of the resized image
    write_score_map(tmp_path / 'maps' / 'val' / '0.npy', score_map)
    with pytest.raises(UserError, match='but CenterCrop of the test pipeline moves its pixels'):
        judge_score_maps(cfg, tmp_path / 'maps')
    cfg.model = dict(head=dict(localizer=dict(frame='input')))
    found = judge_score_maps(cfg, tmp_path / 'maps')
    assert found.metrics['max_box_acc'] == 100 and found.protocol['frame'] == 'input'
    write_score_map(tmp_path / 'maps' / 'val' / '0.npy', np.eye(50, 100))
    with pytest.raises(UserError, match=r'has the shape \(50, 100\), but must have \(20, 20\), h'):
        judge_score_maps(cfg, tmp_path / 'maps')


def test_a_map_is_not_that_of_two_images_of_one_name(tmp_path):
    case = dict(image_size=(50, 40), boxes=[[0, 0, 25, 20]])
    cfg, other = (write_lists(tmp_path / name, [case]) for name in ('test', 'held-out'))
    cfg.val_dataloader = other.test_dataloader
    write_score_map(tmp_path / 'maps' / 'val' / '0.npy', np.eye(40, 50))
    found = judge_score_maps(cfg, tmp_path / 'maps')
    assert found.theta is None and 'gt_known_loc' not in found.metrics


def make_shapes(folder):
    """The demo's pictures as files with lists and masks, and a config with a random CAM."""
    for split, num_images in ('val', 6), ('test', 12):
        pictures = ConfoundedShapes('test', num_images=num_images, seed=num_images)
        lists = {name: [] for name in ('image_ids', 'class_labels', 'localization')}
        (folder / split).mkdir()
        for number, info in enumerate(map(pictures.get_data_info, range(num_images))):
            name = f'{split}/{number}'
            for suffix, pixels in ('.png', info['img']), ('_mask.png', 255 * info['gt_mask']):
                cv2.imwrite(str(folder / f'{name}{suffix}'), pixels)
            lists['image_ids'].append(f'{name}.png')
            lists['class_labels'].append(f'{name}.png,{info["gt_label"]}')
            lists['localization'].append(f'{name}.png,{name}_mask.png,')
        for name, lines in lists.items():
            (folder / split / f'{name}.txt').write_text('\n'.join(lines))
    (folder / 'shapes.py').write_text(f"""
_base_ = '{ROOT}/configs/cam/cam_tiny_shapes.py'
data = dict(type='WSOLEvalLocalization', _delete_=True, data_root='{folder}', test_mode=True,
            mask_root='{folder}', classes={[*PATTERNS]}, pipeline=[
    dict(type='LoadWSOLImage'), dict(type='Resize', scale=(96, 96)),
    dict(type='LoadWSOLMask', with_bbox=True),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask'))])
val_dataloader = dict(num_workers=0, persistent_workers=False,
                      dataset=dict(list_root='{folder}/val', **data))
test_dataloader = dict(num_workers=0, persistent_workers=False,
                       dataset=dict(list_root='{folder}/test', **data))
""")
    cfg = Config.fromfile(folder / 'shapes.py')
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
    return cfg


def evaluate(metrics, samples):
    evaluator = Evaluator(metrics)
    evaluator.process(samples)
    return evaluator.evaluate(len(samples)), curves_of(evaluator)


def test_one_model_judged_from_its_maps_is_the_model_judged(run_tool, tmp_path):
    """To the last digit; theta is that of the held-out images."""
    cfg, samples = make_shapes(tmp_path), {}
    for split, loader in ('val', cfg.val_dataloader), ('test', cfg.test_dataloader):
        cfg.test_dataloader = loader
        test_set = TestSet(cfg, str(tmp_path / 'model.pth'), 'cpu')
        samples[split] = [*test_set.predict(range(len(test_set.dataset)))]
        for sample in samples[split]:
            path = tmp_path / 'maps' / f'{Path(sample.img_path).relative_to(tmp_path)}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, judged_map(sample.label_map.numpy(), (96, 96)))  # in double precision
    held_out, _ = evaluate([MaxBoxAcc()], samples['val'])
    metrics, curves = evaluate([MaxBoxAcc(), PxAP()], samples['test'])
    theta, curve = held_out['max_box_acc_threshold'], curves['MaxBoxAcc']
    at_theta = curve['max_box_acc'][curve['thresholds'].index(theta)]
    for sample in samples['test']:
        sample.set_metainfo(dict(theta=theta, box_rule='wsoleval_bicubic'))
    metrics |= evaluate([MaskIoU()], samples['test'])[0]

    run_tool('judge.py', '--maps', tmp_path / 'maps', '--config', tmp_path / 'shapes.py', '--out',
             tmp_path / 'judged.json')
    judged = json.loads((tmp_path / 'judged.json').read_text())
    assert judged['curves'] == curves and 0 < judged['pxap'] < 100
    assert {name: value for name, value in judged.items() if isinstance(value, float)} == dict(
        metrics, gt_known_loc=at_theta)
    (tmp_path / 'maps/val/5.png.npy').unlink()
    with pytest.raises(UserError, match='1 of 6 images have no score map, the first is val/5'):
        judge_score_maps(Config.fromfile(tmp_path / 'shapes.py'), tmp_path / 'maps')


def test_maps_of_the_size_of_the_image_and_other_files(tmp_path):
    """A 50 x 40 map of a 50 x 40 image is resized like a model's; 1 bright quarter is its box."""
    cfg = write_lists(tmp_path / 'data', [dict(image_size=(50, 40), boxes=[(0, 0, 25, 20)])])
    score_map = np.zeros((40, 50))
    score_map[:20, :25] = 1
    for name in '0.npy', '0.JPEG.png':
        folder = tmp_path / name / 'val'
        folder.mkdir(parents=True)
        write_score_map(folder / name, score_map)
        assert judge_score_maps(cfg, folder.parent).metrics['max_box_acc'] == 100


@pytest.mark.parametrize('suffix', ['.npy', '.png'])
def test_what_is_written_is_read(tmp_path, suffix):
    score_map = np.random.rand(6, 8)
    write_score_map(tmp_path / f'a{suffix}', score_map)
    read = read_score_map(tmp_path / f'a{suffix}', [(6, 8)])
    assert np.abs(read - score_map).max() <= .5 / 65535 + 1e-12
    np.savez(tmp_path / 'b.npz', score_map)
    assert (read_score_map(tmp_path / 'b.npz', [(6, 8)]) == score_map).all()


def saved(array):
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(('name', 'write', 'sentence'), [
    ('a.npy', saved(np.zeros((8, 6))), r'shape \(8, 6\), but must have \(6, 8\), h'),
    ('a.npy', saved(np.full((6, 8), 255.)), 'values from 255 to 255, but must be in'),
    ('a.npy', saved(np.full((6, 8), np.nan)), 'values from nan to nan'),
    ('a.npy', saved(np.zeros((6, 8), int)), 'int64 instead of floats'),
    ('a.npy', saved(np.array([{}])), 'is not a score map'),
    ('a.npz', lambda path: np.savez(path, np.ones(1), np.ones(1)), '2 arrays instead of one'),
    ('a.png', lambda path: cv2.imwrite(str(path), np.zeros((6, 8, 3))), 'not an image of grey'),
])
def test_files_that_are_no_maps(tmp_path, name, write, sentence):
    write(tmp_path / name)
    with pytest.raises(UserError, match=sentence):
        read_score_map(tmp_path / name, [(6, 8)])


@pytest.mark.parametrize(('files', 'sentence'), [
    ([], 'there is no score map'),
    (['1.JPEG.npy'], '1.JPEG.npy belongs to no image of the data set, whose first is val/1.JPEG'),
    (['val/1.JPEG.npy', 'val/1.png'], 'belong to the same image'),
])
def test_folders_that_do_not_fit(tmp_path, files, sentence):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=sentence):
        find_score_maps(tmp_path, ['val/1.JPEG', 'val/2.JPEG'])
