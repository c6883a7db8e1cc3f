"""Every array that the authors' code of PSOL computed of DDT."""
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from cicam_mm.localization import BOX_RULES, find_boxes
from cicam_mm.models import DDTHead
from cicam_mm.models.ddt import principal_components

SIZE = (448, 448)
TOLERANCES = {'.*': 1e-4, '.*box.*': 1e-12}  # boxes are multiples of 1/14


def xywh(boxes):
    """Corners in pixels to shares of the image."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1) / SIZE[0]


@pytest.mark.parametrize('name', ['eight', 'one', 'pair', 'flip'])
def test_ddt(bas_psol, name):
    features = bas_psol.make('ddt_features', name)
    # class 1 lies between two others, one of which has no image
    head = DDTHead(num_classes=3, in_channels=512)
    other = torch.rand(2, 512, 14, 14)
    samples = [DataSample(metainfo=dict(img_shape=SIZE, ori_shape=SIZE)).set_gt_label(1)
               for _ in features]
    for number in range(head.num_passes):
        head.start_pass(number)
        head.observe((other, ), [DataSample().set_gt_label(2)] * 2, number)
        for feature, sample in zip(features, samples, strict=True):  # one by one
            head.observe((feature[None], ), [sample], number)
        moments = head._count[1], head._sum[1], head._outer.get(1)
        if number == 0:
            eigenvalues = principal_components(*moments)[1]
        head.finish_pass(number)
    class_maps = head.localize((features, ))[1]
    label = torch.ones(len(features), 1, dtype=torch.int64)
    values = dict(
        mean=head.mean[1], component=head.component[1], map=class_maps.of_classes(label)[:, 0],
        eigenvalues=eigenvalues.flip(0)[:3],
        box_xywh=xywh([sample.label_box.tolist()
                       for sample in head.predict((features, ), samples)]))
    bas_psol.compare(f'ddt_{name}_', values, TOLERANCES, [r'ddt_flip_loading_.*'])


def test_ddt_box_rule(bas_psol):
    boxes = find_boxes(np.asarray(bas_psol.make('ddt_maps')), BOX_RULES['ddt'], 0., SIZE)
    bas_psol.compare('ddt_box_', dict(rule=xywh(boxes)), TOLERANCES)


def test_the_other_sign_would_swap_object_and_ground(bas_psol):
    """scikit-learn 1.5 and later make the largest loading positive; the release did not."""
    ours, theirs = bas_psol['ddt_flip_component'], bas_psol['ddt_flip_loading_component']
    np.testing.assert_allclose(ours, -theirs, atol=1e-4)
    assert (bas_psol['ddt_flip_box_xywh'] != bas_psol['ddt_flip_loading_box_xywh']).any()
