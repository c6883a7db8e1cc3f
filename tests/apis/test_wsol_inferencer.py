import shutil

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cicam_mm.apis import TestSet, WSOLInferencer
from cicam_mm.utils.errors import UserError


def test_results_of_one_image(inferencer, images, tmp_path):
    path = images / '00.png'
    result, = inferencer(path, show_dir=tmp_path / 'shown')
    assert (result['img_path'], result['sample_idx']) == (str(path), 0)
    scores = result['pred_scores']
    assert scores.shape == (6, ) and scores.sum() == pytest.approx(1)
    assert result['pred_label'] == scores.argmax() and result['pred_score'] == scores.max()
    assert result['pred_class'] == 'abcdef'[result['pred_label']]
    x0, y0, x1, y1 = result['pred_box']
    assert 0 <= x0 < x1 <= 40 and 0 <= y0 < y1 <= 40
    assert result['score_map'].shape == (8, 8) and result['score_map'].min() == 0
    shown = mmcv.imread(tmp_path / 'shown' / '00000_00.png')
    assert shown.shape[1] % 40 == 0  # enlarged by a whole number


def test_folder_glob_list_and_array_agree(inferencer, images):
    files = sorted(map(str, images.iterdir()))
    given = inferencer(files, batch_size=3)
    others = [
        inferencer(str(images), batch_size=8),
        inferencer(images / '**' / '*.*g', batch_size=2),
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


def test_boxes_are_those_of_the_test_set(inferencer, checkpoint, config, images, tmp_path):
    boxes = ['path,x0,y0,x1,y1']
    for number, path in enumerate(sorted(images.iterdir())):
        name = f'images/{"abcdef"[number % 6]}/{path.name}'
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
        boxes.append(f'{name},5,5,30,30')
    (tmp_path / 'boxes.csv').write_text('\n'.join(boxes))
    config.test_dataloader.dataset = dict(
        type='FolderLocalization', data_root=str(tmp_path), data_prefix='images',
        box_file='boxes.csv', test_mode=True,
        pipeline=[dict(type='LoadWSOLImage'), *config.test_pipeline])
    config.test_dataloader.batch_size = 5
    samples = [*TestSet(config, checkpoint).predict(range(12))]
    results = inferencer([sample.img_path for sample in samples], batch_size=5)
    for result, sample in zip(results, samples, strict=True):
        assert result['pred_box'] == sample.pred_box.tolist()
        assert result['pred_label'] == int(sample.pred_label)
        np.testing.assert_array_equal(result['score_map'], sample.score_map.numpy())
        assert sample.gt_bboxes.tolist() == [[5, 5, 30, 30]]
    assert len({tuple(result['pred_box']) for result in results}) > 1


def test_two_views(checkpoint, config, images):
    config.model.type = 'TwoViewClassifier'
    config.test_dataloader.dataset.pipeline = [
        dict(type='LoadWSOLImage'),
        dict(type='TestTimeAug', transforms=[
            [dict(type='CenterCrop', crop_size=(30, 30)), dict(type='Resize', scale=(32, 32))],
            [dict(type='Resize', scale=(32, 32))],
            [dict(type='LoadAnnotations', with_bbox=True, with_label=False)],
            [dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))]]),
    ]
    results = WSOLInferencer(config, checkpoint)(images, batch_size=5)
    assert len(results) == 12 and results[0]['score_map'].shape == (8, 8)


def test_names_of_classes(inferencer, checkpoint, config, tmp_path):
    """Those of the checkpoint, else of the config if they are as many as the model's."""
    assert inferencer.classes == tuple('abcdef')
    assert WSOLInferencer(config, checkpoint, classes='uvwxyz').classes == 'uvwxyz'
    content, path = torch.load(checkpoint), tmp_path / 'a.pth'
    torch.save(dict(content, meta={}), path)
    assert WSOLInferencer(config, path).classes[0] == 'striped'
    config.test_dataloader.dataset = dict(type='CustomDataset', pipeline=config.test_pipeline,
                                          metainfo=dict(classes=tuple('ghijkl')))
    assert WSOLInferencer(config, path).classes == tuple('ghijkl')
    # a config that inherits ImageNet's data set has its 1,000 names, whatever its head
    config.test_dataloader.dataset = dict(type='ImageNet', pipeline=config.test_pipeline)
    assert WSOLInferencer(config, path).classes is None
    with pytest.raises(UserError, match='list names 3 classes, but the model has 6'):
        WSOLInferencer(config, path, classes=['a', 'b', 'c'])
    torch.save(dict(content, meta=dict(dataset_meta=dict(classes=('a', 'b')))), path)
    with pytest.raises(UserError, match='a.pth names 2 classes, but the model has 6'):
        WSOLInferencer(config, path)


@pytest.mark.parametrize(('names', 'says'), [
    ('fedcba', "has '.*' for class 0, but the checkpoint has it for class 5; "),
    ('abcdea', 'the given list has 2 classes named'),
])
def test_given_names_do_not_swap_classes(checkpoint, config, names, says):
    with pytest.raises(UserError, match=says):
        WSOLInferencer(config, checkpoint, classes=[*names])


def test_unreadable_inputs_end_the_run_or_are_skipped(inferencer, images, tmp_path):
    good = images / '00.png'
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


def test_large_photos_are_kept_in_four_megapixels(inferencer, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((2400, 2500), 99, np.uint8))
    (image, sample), = inferencer.stream([tmp_path / 'a.jpg'])
    assert sample.ori_shape == (2400, 2500)
    assert image.base is None and image.shape == (1960, 2041, 3)


def test_models_it_cannot_use(checkpoint, config):
    config.model.head.localizer.frame = 'input'
    with pytest.raises(ValueError, match="frame='original'"):
        WSOLInferencer(config, checkpoint)
    bare = Config({key: part for key, part in config.items() if key != 'test_dataloader'})
    with pytest.raises(UserError, match='the test set of the config has no pipeline'):
        WSOLInferencer(bare, False)
    config.model.head = dict(type='LinearClsHead', num_classes=6, in_channels=8)
    config.model.neck = dict(type='GlobalAveragePooling')
    with pytest.raises(UserError, match='LinearClsHead does not localize'):
        WSOLInferencer(config, False)
