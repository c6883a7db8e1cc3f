# Plain CAM on ILSVRC, trained like CI-CAM (total batch 40) for comparison.
_base_ = [
    '../_base_/models/cam_vgg16.py',
    '../_base_/datasets/ilsvrc_bs40.py',
    '../_base_/schedules/ilsvrc_adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=1000))
