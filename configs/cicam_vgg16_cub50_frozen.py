# CI-CAM on frozen features of fifty classes of CUB, for one core.
_base_ = ['_base_/vgg16_frozen.py', '_base_/datasets/cub50.py']

model = dict(head=dict(num_classes=50))

train_dataloader = dict(batch_size=32, num_workers=0)  # nothing is decoded
test_evaluator = [dict(type='WSOLMetric')]
