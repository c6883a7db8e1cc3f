"""Score maps in files: the reference's numbers from its own kind of files, and every mistake."""
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from cicam_mm.evaluation.score_maps import (
    find_score_maps,
    judge_score_maps,
    read_score_map,
    write_score_map,
)
from cicam_mm.utils.errors import UserError

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
    held_out = judge_score_maps(Config(dict(test_dataloader=cfg.val_dataloader)), folder_of(
        folder, range(30)))
    found = judge_score_maps(cfg, folder)
    assert found.theta == held_out.metrics['max_box_acc_threshold']
    assert (found.num_images, found.num_held_out) == (10, 30)
    curve = found.evaluator.metrics[0].curves
    at_theta = curve['max_box_acc'][curve['thresholds'].index(found.theta)]
    assert found.metrics['gt_known_loc'] == at_theta <= found.metrics['max_box_acc']


def folder_of(folder, numbers):
    """A folder with some of the maps."""
    part = folder.parent / 'part'
    (part / 'val').mkdir(parents=True)
    for number in numbers:
        name = f'val/{number}.JPEG.npy'
        (part / name).write_bytes((folder / name).read_bytes())
    return part


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
    ('a.npy', saved(np.zeros((8, 6))), r'shape \(8, 6\), but must be 8 x 6 pixels'),
    ('a.npy', saved(np.zeros((1, 6, 8))), r'shape \(1, 6, 8\)'),
    ('a.npy', saved(np.full((6, 8), 255.)), 'values from 255 to 255, but must be in'),
    ('a.npy', saved(np.full((6, 8), np.nan)), 'values from nan to nan'),
    ('a.npy', saved(np.zeros((6, 8), int)), 'int64 instead of floats'),
    ('a.npy', saved(np.array([{}])), 'is not a score map'),
    ('a.npy', lambda path: path.write_bytes(b'PK'), 'is not a score map'),
    ('a.npz', saved(np.zeros((6, 8)), other=np.ones(1)), '2 arrays instead of one'),
    ('a.png', lambda path: cv2.imwrite(str(path), np.zeros((6, 8, 3))), 'no image of grey values'),
])
def test_files_that_are_no_maps(tmp_path, name, write, sentence):
    write(tmp_path / name)
    with pytest.raises(UserError, match=sentence):
        read_score_map(tmp_path / name, [(6, 8)])


@pytest.mark.parametrize(('files', 'sentence'), [
    ([], 'there is no score map'),
    (['val/1.JPEG.npy', 'val/2.npy', 'val/3.npy'], 'val/3.npy is of no image'),
    (['1.JPEG.npy'], '1.JPEG.npy is of no image of the data set, whose first is val/1.JPEG'),
    (['val/1.JPEG.npy', 'val/1.png'], 'are of the same image'),
])
def test_folders_that_do_not_fit(tmp_path, files, sentence):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=sentence):
        find_score_maps(tmp_path, ['val/1.JPEG', 'val/2.JPEG'])


def test_missing_maps_are_counted(judged):
    folder, cfg = judged
    part = Path(folder.parent, 'few')
    (part / 'val').mkdir(parents=True)
    (part / 'val' / '1.JPEG.npy').write_bytes((folder / 'val' / '1.JPEG.npy').read_bytes())
    with pytest.raises(UserError, match='39 of 40 images have no score map, the first is val/0'):
        judge_score_maps(cfg, part)
