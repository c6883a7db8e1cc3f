# CI-CAM on ILSVRC by what the paper tells of its recipe (total batch 40); the decay of the
# learning rate is not among it.
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/ilsvrc_bs40.py',
    '_base_/schedules/ilsvrc_adam_20e.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=1000))
