# CI-CAM on ILSVRC by what the paper tells of its recipe (40 images a step). Chosen here, because
# it tells nothing: the decay of the learning rate, a tenth of it for the backbone, `quadratic`
# (docs/protocols.md).
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/ilsvrc_bs40.py',
    '_base_/schedules/ilsvrc_adam_20e.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=1000))
