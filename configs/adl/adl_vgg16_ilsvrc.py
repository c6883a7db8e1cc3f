# ADL on ILSVRC, trained like CI-CAM (total batch 40) for comparison. The authors published no
# recipe for VGG16 on ILSVRC.
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/ilsvrc_bs40.py',
    '../_base_/schedules/ilsvrc_adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ADL', gamma=0.8, p=0.75), stages=(3, 4, 5))]),
    head=dict(num_classes=1000, localizer=dict(box_rule='adl')))
