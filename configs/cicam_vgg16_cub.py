# CI-CAM on CUB-200-2011, the release's recipe (6 images a step, on however many GPUs), but with
# images resized by OpenCV.
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/cub_bs6.py',
    '_base_/schedules/cub_adam_100e.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))
