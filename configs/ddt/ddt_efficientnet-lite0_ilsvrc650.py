# DDT with the network of configs/imagenet, fitted on held-out images of ILSVRC: one component for
# all classes, since few of them have more than one image there.
_base_ = '../imagenet/efficientnet-lite0.py'

model = dict(
    backbone=dict(init_cfg=dict(
        type='Pretrained', checkpoint='package://efficientnet-lite0', prefix='backbone.')),
    head=dict(
        _delete_=True,
        type='DDTHead',
        num_classes=1000,
        in_channels=1280,
        per_class=False,
        # theta chosen on the held-out images
        localizer=dict(map_rule='top1', box_rule='wsoleval_bicubic', floor='zero', theta=0.095)))

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset={{_base_.val_dataloader.dataset}},
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
train_cfg = dict(type='FitLoop', max_epochs=2, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.))  # nothing uses it
load_from = None
