# MEIL on ILSVRC, trained like CI-CAM (total batch 40) for comparison: EIL behind the last two
# stages, all losses added. Depths and wiring are unverified.
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/ilsvrc_bs40.py',
    '../_base_/schedules/ilsvrc_adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(4, 5))]),
    head=dict(
        type='EILHead',
        num_classes=1000,
        localizer=dict(box_rule='eil', theta=0.15)))
