# CAM as trained and tested in "Evaluating WSOL Methods Right" (CVPR 2020). HaS and CutMix inherit
# this config, because they change only the training images.
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/cub_wsoleval.py',
    '../_base_/schedules/cub_sgd_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))

train_dataloader = dict(batch_size=32)
