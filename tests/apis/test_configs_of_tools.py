"""What command lines do to configs, checked as a run checks them."""
import pytest

from cicam_mm.apis.configs import (
    apply_settings,
    localize_config,
    parse_options,
    read_config,
    whole_image_pipeline,
    write_out_localizer,
)
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.settings import check_settings, merge_options

IMAGENET = 'cicam_mm::imagenet/efficientnet-lite0.py'


@pytest.mark.parametrize('name, method, backbone', [
    (IMAGENET, 'cam', 'EfficientNetLite0'), (IMAGENET, 'gradcam', 'EfficientNetLite0'),
    ('deit-tiny_4xb256_in1k', 'layercam', 'VisionTransformer'),  # with batch augments
    ('vgg16_8xb32_in1k', 'gradcam', 'VGG'),  # which classifies in the backbone
    ('efficientnet-b0_3rdparty_8xb32_in1k', 'cam', 'EfficientNet'),  # with a crop of its own
    ('resnet50_8xb32-fp16_in1k', 'cam', 'ResNet'),  # with a number as loss_scale
])
def test_any_classifier_as_a_localizer_passes_the_check(name, method, backbone):
    cfg = read_config(name)
    localize_config(cfg, method)
    apply_settings(cfg, None, theta=.3, map_rule='top1', box_rule=None)
    check_settings(cfg)
    assert cfg.model.head.localizer.theta == .3 and cfg.model.head.num_classes == 1000
    assert cfg.model.classifier.backbone.type == backbone


def test_config_by_its_name_in_the_zoo():
    assert read_config('resnet18_8xb32_in1k').model.backbone.depth == 18
    with pytest.raises(UserError, match='cannot read the config resnet18_in1k'):
        read_config('resnet18_in1k')


def test_config_without_classes_does_not_localize():
    with pytest.raises(UserError, match='this config does not classify'):
        localize_config(read_config('byol_resnet50_16xb256-coslr-200e_in1k'), 'gradcam')


def test_any_center_crop_gives_the_size_of_the_input():
    for kind in 'CenterCrop', 'EfficientNetCenterCrop':
        steps = whole_image_pipeline([dict(type='LoadImageFromFile'),
                                      dict(type=kind, crop_size=240), dict(type='PackInputs')])
        assert steps[1] == dict(type='Resize', scale=(240, 240))


def test_options_lead_into_lists_of_metrics():
    cfg = read_config(IMAGENET)
    cfg.test_evaluator = [dict(type='WSOLMetric')]
    merge_options(cfg, parse_options(cfg, ['test_evaluator.iou_thr=0.7']))
    assert cfg.test_evaluator[0].iou_thr == .7


def test_settings_keep_what_the_head_localizes_by_otherwise():
    cfg = read_config('cicam_mm::ts-cam/ts-cam_deit-s_cub.py')
    assert 'localizer' not in cfg.model.head
    write_out_localizer(cfg)
    apply_settings(cfg, None, theta=.3)
    assert cfg.model.head.localizer == dict(map_rule='top1', box_rule='ts_cam', theta=.3)
    apply_settings(cfg, None, map_rule=dict(type='topk_mean', k=3))
    apply_settings(cfg, None, map_rule='linear')
    assert cfg.model.head.localizer == dict(map_rule='linear', box_rule='ts_cam', theta=.3)
