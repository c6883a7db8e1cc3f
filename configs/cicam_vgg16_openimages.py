# CI-CAM on OpenImages30k, judged by masks. Nobody published a recipe: it is the one for ILSVRC.
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/openimages_wsoleval.py',
    '_base_/schedules/ilsvrc_adam_20e.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=100))
