# BAS's recipe for CUB, total batch 32: lr 1e-3 for weights of the pretrained layers, twice that
# for their biases; ten times as much for new layers; weight decay for everything.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={
        '.bias': dict(lr_mult=2.),
        'head.generator.weight': dict(lr_mult=10.),
        'head.generator.bias': dict(lr_mult=20.),
        **{f'head.classifier.to_maps.{i}.weight': dict(lr_mult=10.) for i in (0, 2, 4)},
        **{f'head.classifier.to_maps.{i}.bias': dict(lr_mult=20.) for i in (0, 2, 4)},
    }))

param_scheduler = [dict(type='MultiStepLR', milestones=[80], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=32)
