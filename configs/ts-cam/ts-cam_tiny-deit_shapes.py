# TS-CAM on the demo set, with a small transformer that starts from random weights.
_base_ = [
    '../_base_/datasets/confounded_shapes.py',
    '../_base_/schedules/deit_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='TokenAttentionViT',
        arch=dict(embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=192),
        img_size=96,
        patch_size=8),
    head=dict(type='TSCAMHead', num_classes=6, in_channels=96))

optim_wrapper = dict(optimizer=dict(lr=1e-3))

# a cosine that ends at 0
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=15, eta_min=0, begin=0, end=15, by_epoch=True,
         convert_to_iter_based=True)]

train_cfg = dict(by_epoch=True, max_epochs=15, val_interval=5)
auto_scale_lr = dict(base_batch_size=24)
