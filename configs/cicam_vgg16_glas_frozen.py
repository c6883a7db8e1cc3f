# CI-CAM on frozen features of tissue, for one core, judged by masks.
_base_ = ['_base_/vgg16_frozen.py', '_base_/datasets/glas.py']

model = dict(head=dict(num_classes=2))

auto_scale_lr = dict(base_batch_size=17)
train_dataloader = dict(batch_size=17, num_workers=0)  # 68 images, four steps an epoch
