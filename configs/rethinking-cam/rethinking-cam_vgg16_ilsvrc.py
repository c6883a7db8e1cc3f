# Rethinking-CAM on ILSVRC, trained like CI-CAM (total batch 40) for comparison. The authors
# published no recipe for ILSVRC; its thresholds are those of CUB.
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/ilsvrc_bs40.py',
    '../_base_/schedules/ilsvrc_adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(
        type='RethinkingCAMHead',
        num_classes=1000,
        tap_threshold=0.1,
        localizer=dict(box_rule='rethinking', theta=0.35)))
