"""PSOL's boxes by hand, in whatever frame, with classes of another network and without."""
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample

from cicam_mm.apis import WSOLInferencer
from cicam_mm.evaluation.wsol_metric import WSOLMetric
from cicam_mm.models import PSOLHead
from cicam_mm.utils.errors import UserError
from cicam_mm.visualization.visualizer import draw_sample

FEATURES = (torch.zeros(1, 2, 3, 3), )


def head(box=(.25, .5, .5, .75), **options):
    """A head that always predicts this box."""
    head = PSOLHead(num_classes=3, in_channels=2, **options)
    torch.nn.init.zeros_(head.box[2].weight)
    head.box[2].bias.data = torch.logit(torch.tensor(box))
    return head


def sample(**fields):
    return DataSample(metainfo=dict(img_shape=(100, 200), ori_shape=(40, 20)), **fields)


@pytest.mark.parametrize('frame, box', [('original', [5, 20, 15, 40]),
                                        ('input', [50, 50, 150, 100])])
def test_boxes_by_hand(frame, box):
    # the height of 3/4 from 1/2 on leaves the image, and is cut
    found, = head(localizer=dict(frame=frame)).predict(FEATURES, [sample()])
    assert found.pred_box.tolist() == found.label_box.tolist() == box
    assert found.box_frame == frame and 'pred_label' not in found and 'score_map' not in found
    scores = torch.tensor([[1., 3, 2]])
    found, = head(localizer=dict(frame=frame)).predict(FEATURES, [sample()], scores)
    assert found.top_labels.tolist() == [1, 2, 0] and found.pred_label == 1
    assert found.pred_boxes.tolist() == [box] * 3


def test_loss_by_hand():
    truth = np.array([[100., 50, 200, 100], [0, 0, 1, 1]])  # 1/2, 1/2, 1/2, 1/2; the first counts
    loss = head().loss(FEATURES, [sample(gt_bboxes=truth)])['loss']
    assert loss.item() == pytest.approx(50 * (.25**2 + 0 + 0 + .25**2) / 4, rel=1e-5)
    with pytest.raises(UserError, match='has no box to learn; make boxes with tools/infer.py'):
        head().loss(FEATURES, [sample()])


def test_metrics_without_classes_are_those_of_the_box():
    metric = WSOLMetric()
    for truth in [5, 20, 15, 40], [0, 0, 4, 4]:
        found = head().predict(FEATURES, [sample(gt_bboxes=np.array([truth])).set_gt_label(2)])
        metric.process({}, [each.to_dict() for each in found])
    assert metric.compute_metrics(metric.results) == dict(gt_known_loc=50)


def test_picture_without_map_and_class():
    found, = head().predict(FEATURES, [sample(gt_bboxes=np.array([[5, 20, 15, 40]]))])
    picture = draw_sample(np.zeros((40, 20, 3), np.uint8), found)
    assert picture.any()


def test_what_needs_maps_is_refused():
    with pytest.raises(UserError, match='PSOLHead predicts a box without a score map'):
        head().localize(FEATURES)


# --- classes of another network --------------------------------------------------------------
CONFIG = """
model = dict(
    type='ImageClassifier', backbone=dict(type='ResNet', depth=18, base_channels=2),
    head=dict(type='PSOLHead', num_classes=3, in_channels=16),
    data_preprocessor=dict(num_classes=3))
test_dataloader = dict(dataset=dict(type='CustomDataset', pipeline=[
    dict(type='LoadWSOLImage'), dict(type='Resize', scale=(32, 32)), dict(type='PackInputs')]))
"""
OTHER = CONFIG.replace('PSOLHead', 'CAMHead').replace(
    'data_preprocessor=dict(', 'data_preprocessor=dict(mean=[9., 9, 9], std=[3., 3, 3], ')


@pytest.fixture
def parts(tmp_path):
    """A config and a model of each of the two."""
    models = []
    for name, text in ('psol', CONFIG), ('cam', OTHER):
        (tmp_path / f'{name}.py').write_text(text)
        models.append(MODELS.build(Config.fromfile(tmp_path / f'{name}.py').model).eval())
        torch.save(dict(state_dict=models[-1].state_dict()), tmp_path / f'{name}.pth')
    return tmp_path, *models


def separate(folder, **options):
    cfg = Config.fromfile(folder / 'psol.py')
    cfg.merge_from_dict({
        'model.type': 'SeparateClassifier', 'model.classifier': dict(
            config=str(folder / 'cam.py'), checkpoint=str(folder / 'cam.pth')), **options})
    return cfg


@torch.no_grad()
def test_classes_are_the_other_networks(parts):
    folder, boxes, classes = parts
    model = MODELS.build(separate(folder).model).eval()
    model.load_state_dict(boxes.state_dict())  # the other's weights are no part of it
    inputs = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in range(2)]
    predictions = [each.test_step(dict(inputs=inputs, data_samples=[sample(), sample()]))
                   for each in (model, boxes, classes)]
    for each, own, other in zip(*predictions, strict=True):
        assert each.pred_box.equal(own.pred_box)
        torch.testing.assert_close(each.pred_score, other.pred_score)


def test_inferencer_needs_classes(parts):
    folder, *_ = parts
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    result, = WSOLInferencer(separate(folder), str(folder / 'psol.pth'))(image)
    assert len(result['pred_box']) == 4 and len(result['pred_scores']) == 3
    assert 'score_map' not in result
    with pytest.raises(UserError, match="boxes without classes; .*type='SeparateClassifier'"):
        WSOLInferencer(str(folder / 'psol.py'), str(folder / 'psol.pth'))(image)


def test_other_classes_are_refused(parts):
    folder, boxes, _ = parts
    model = MODELS.build(separate(folder, **{'model.head.num_classes': 4}).model)
    with pytest.raises(UserError, match='has 3 classes, but this model 4'):
        model.test_step(dict(inputs=[torch.zeros(3, 32, 32)], data_samples=[sample()]))


# --- training views --------------------------------------------------------------------------
def test_pseudo_boxes_are_found_by_path(tmp_path):
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=7, file_name='a/./b.png', height=80, width=60)],
        annotations=[dict(image_id=7, bbox=[10, 20, 30, 40]),  # instances, the largest first
                     dict(image_id=7, bbox=[0, 0, 1, 1])])))
    load = TRANSFORMS.build(dict(type='LoadPseudoBoxes', ann_file=str(path)))
    found = load(dict(img_path='a/b.png', ori_shape=(80, 60)))
    assert found['gt_bboxes'].tolist() == [[10, 20, 40, 60]]
    with pytest.raises(UserError, match=r"\(80, 60\), but here it has \(60, 80\); .*'upright'"):
        load(dict(img_path='a/b.png', ori_shape=(60, 80)))
    with pytest.raises(UserError, match='annotations.json has no box for c.png'):
        load(dict(img_path='c.png'))
    path.write_text('{"images": []}')
    with pytest.raises(UserError, match='is not a list of annotations as tools/infer.py'):
        TRANSFORMS.build(dict(type='LoadPseudoBoxes', ann_file=str(path)))


def crop(box, **options):
    transform = TRANSFORMS.build(dict(
        type='RandomResizedCropWithBoxes', scale=16, crop_ratio_range=(.2, 1.), **options))
    image = np.zeros((60, 90, 3), np.float32)
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = 1
    return transform(dict(img=image, gt_bboxes=np.float32([box])))


def test_box_and_pixels_move_together():
    for seed in range(50):
        np.random.seed(seed)
        found = crop((6, 3, 60, 48))
        x0, y0, x1, y1 = found['gt_bboxes'][0]
        assert x0 < x1 and y0 < y1 and found['img'].shape == (16, 16, 3)
        rows, columns = np.nonzero(found['img'][..., 0] > .5)
        edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        np.testing.assert_allclose([x0, y0, x1, y1], edges, atol=1)


def test_a_box_that_is_never_inside_gets_the_central_window():
    found = crop((89, 59, 90, 60), attempts=0)
    # the largest window of ratio 4/3 in the middle of 90 x 60 is 80 x 60, without the last column
    assert found['gt_bboxes'].tolist() == [[16, pytest.approx(59 / 60 * 16), 16, 16]]
