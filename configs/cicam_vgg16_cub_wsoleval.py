# CI-CAM on CUB-200-2011 by the protocol of "Evaluating WSOL Methods Right" (CVPR 2020).
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/cub_wsoleval.py',
    '_base_/schedules/cub_adam_100e.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))
