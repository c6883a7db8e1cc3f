"""Score maps in files: the reference's numbers from its own kind of files, and every mistake."""
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.datasets.scene import PATTERNS
from cicam_mm.evaluation import MaskIoU, read_predictions
from cicam_mm.evaluation.pooled_metric import judged_map
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
    for number, case in enumerate(cases):
        (folder / 'scoremaps' / 'val').mkdir(parents=True, exist_ok=True)
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


def test_theta_of_other_images(judged):
    """The first 30 images choose theta, the other 10 are judged at it."""
    folder, cfg = judged
    cfg = Config(dict(
        val_dataloader=dict(dataset=dict(cfg.test_dataloader.dataset, indices=[*range(30)])),
        test_dataloader=dict(dataset=dict(cfg.test_dataloader.dataset, indices=[*range(30, 40)]))))
    part = folder.parent / 'part' / 'val'
    part.mkdir(parents=True)
    for number in range(30):
        np.save(part / f'{number}.npy', np.load(folder / f'val/{number}.JPEG.npy'))
    val = Config(dict(test_dataloader=cfg.val_dataloader))
    held_out = judge_score_maps(val, part.parent)
    (part / '7.npy').unlink()
    with pytest.raises(UserError, match='1 of 30 images have no score map, the first is val/7'):
        judge_score_maps(val, part.parent)
    found = judge_score_maps(cfg, folder)
    assert found.theta == held_out.metrics['max_box_acc_threshold']
    assert (found.num_images, found.num_held_out) == (10, 30)
    curve = found.evaluator.metrics[0].curves
    at_theta = curve['max_box_acc'][curve['thresholds'].index(found.theta)]
    assert found.metrics['gt_known_loc'] == at_theta <= found.metrics['max_box_acc']


def make_shapes(folder):
    """The demo's pictures as files with lists and masks, a random CAM, and their config."""
    for split, num_images in ('val', 6), ('test', 12):
        pictures = ConfoundedShapes('test', num_images=num_images, seed=num_images)
        lists = {name: [] for name in ('image_ids', 'class_labels', 'localization')}
        for number, info in enumerate(map(pictures.get_data_info, range(num_images))):
            name = f'{split}/{number}'
            for suffix, pixels in ('.png', info['img']), ('_mask.png', 255 * info['gt_mask']):
                (folder / name).parent.mkdir(exist_ok=True)
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
test_evaluator = [dict(type='MaxBoxAcc'), dict(type='PxAP')]
""")
    model = MODELS.build(Config.fromfile(folder / 'shapes.py').model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')


def test_one_model_judged_from_its_maps_is_the_model_judged(run_tool, tmp_path):
    """To the last digit, and as a plain search of contours and a sorting of pixels give it."""
    make_shapes(tmp_path)
    run_tool('test.py', tmp_path / 'shapes.py', tmp_path / 'model.pth', '--work-dir',
             tmp_path / 'work', '--out', tmp_path / 'test.json', '--dump', tmp_path / 'dump')
    (tmp_path / 'held_out.py').write_text(
        "_base_ = 'shapes.py'\ntest_dataloader = {{_base_.val_dataloader}}\n")
    run_tool('test.py', tmp_path / 'held_out.py', tmp_path / 'model.pth', '--work-dir',
             tmp_path / 'work', '--out', tmp_path / 'val.json', '--dump', tmp_path / 'val_dump')
    samples = [*read_predictions(tmp_path / 'dump')]
    for sample in [*samples, *read_predictions(tmp_path / 'val_dump')]:
        score_map = judged_map(sample.label_map.numpy(), (96, 96))
        path = tmp_path / 'maps' / f'{Path(sample.img_path).relative_to(tmp_path)}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, score_map)  # in double precision, as that evaluation does
    run_tool('judge.py', '--maps', tmp_path / 'maps', '--config', tmp_path / 'shapes.py', '--out',
             tmp_path / 'judged.json')
    tested, held_out, judged = (json.loads((tmp_path / name).read_text())
                                for name in ('test.json', 'val.json', 'judged.json'))
    assert judged['curves'] == tested['curves'] and 0 < judged['pxap'] < 100
    theta = held_out['max_box_acc_threshold']
    curve = dict(zip(*(tested['curves']['MaxBoxAcc'][name] for name in (
        'thresholds', 'max_box_acc')), strict=True))
    mask_iou = MaskIoU()
    for sample in samples:
        sample.set_metainfo(dict(theta=theta, box_rule='wsoleval_bicubic'))
        mask_iou.process(None, [sample.to_dict()])
    assert {name: value for name, value in judged.items() if isinstance(value, float)} == {
        'gt_known_loc': curve[theta], 'mask_iou': mask_iou.evaluate(12)['mask_iou'],
        **{name: value for name, value in tested.items() if isinstance(value, float)}}
    accuracy, v2, pxap = plain_evaluation(samples)
    assert (judged['max_box_acc'], judged['max_box_acc_v2']) == (accuracy, v2)
    assert judged['pxap'] == pytest.approx(pxap, abs=1e-10)


def plain_evaluation(samples):
    """MaxBoxAcc, MaxBoxAccV2 and PxAP in percent, by their definitions."""
    right, scores, labels = np.zeros((4, 1000)), [], []
    for sample in samples:
        score_map = np.load(sample.img_path.replace('/test/', '/maps/test/') + '.npy')
        truth, = np.trunc(sample.gt_bboxes)
        for i, threshold in enumerate(np.arange(0, 1, 0.001)):
            grey = (score_map * 255).astype(np.uint8)
            _, binary = cv2.threshold(grey, int(threshold * grey.max()), 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            largest = max(contours, key=cv2.contourArea)
            ious = [plain_iou(cv2.boundingRect(contour), truth) for contour in contours]
            right[:, i] += [plain_iou(cv2.boundingRect(largest), truth) >= 0.5,
                            *(max(ious) >= least for least in (0.3, 0.5, 0.7))]
        scores += [np.floor(score_map.ravel() * 1000 + 1e-9)]
        labels += [sample.gt_mask.ravel()]
    accuracies = (right * 100 / len(samples)).max(axis=1)
    scores, labels = np.concatenate(scores), np.concatenate(labels)
    pxap, recall = 0, 0
    for score in np.unique(scores)[::-1]:
        found = labels[scores >= score]
        pxap += 100 * found.mean() * (found.sum() / labels.sum() - recall)
        recall = found.sum() / labels.sum()
    return accuracies[0], np.mean(accuracies[1:]), pxap


def plain_iou(bounds, truth):
    x, y, width, height = bounds
    box = [x, y, min(x + width, 95), min(y + height, 95)]
    shared = [max(min(box[i + 2], truth[i + 2]) - max(box[i], truth[i]) + 1, 0) for i in (0, 1)]
    areas = [(each[2] - each[0] + 1) * (each[3] - each[1] + 1) for each in (box, truth)]
    return shared[0] * shared[1] / (sum(areas) - shared[0] * shared[1])


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


def saved(array, **other):
    return lambda path: np.save(path, array) if not other else np.savez(path, array, **other)


@pytest.mark.parametrize(('name', 'write', 'sentence'), [
    ('a.npy', saved(np.zeros((8, 6))), r'shape \(8, 6\), but must have \(6, 8\), h'),
    ('a.npy', saved(np.zeros((1, 6, 8))), r'shape \(1, 6, 8\)'),
    ('a.npy', saved(np.full((6, 8), 255.)), 'values from 255 to 255, but must be in'),
    ('a.npy', saved(np.full((6, 8), np.nan)), 'values from nan to nan'),
    ('a.npy', saved(np.zeros((6, 8), int)), 'int64 instead of floats'),
    ('a.npy', saved(np.array([{}])), 'is not a score map'),
    ('a.npy', lambda path: path.write_bytes(b'PK'), 'is not a score map'),
    ('a.npz', saved(np.zeros((6, 8)), other=np.ones(1)), '2 arrays instead of one'),
    ('a.png', lambda path: cv2.imwrite(str(path), np.zeros((6, 8, 3))), 'not an image of grey'),
])
def test_files_that_are_no_maps(tmp_path, name, write, sentence):
    write(tmp_path / name)
    with pytest.raises(UserError, match=sentence):
        read_score_map(tmp_path / name, [(6, 8)])


@pytest.mark.parametrize(('files', 'sentence'), [
    ([], 'there is no score map'),
    (['val/1.JPEG.npy', 'val/2.npy', 'val/3.npy'], 'val/3.npy belongs to no image'),
    (['1.JPEG.npy'], '1.JPEG.npy belongs to no image of the data set, whose first is val/1.JPEG'),
    (['val/1.JPEG.npy', 'val/1.png'], 'belong to the same image'),
])
def test_folders_that_do_not_fit(tmp_path, files, sentence):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=sentence):
        find_score_maps(tmp_path, ['val/1.JPEG', 'val/2.JPEG'])
