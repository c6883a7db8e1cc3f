# TS-CAM and SCM: AdamW, no weight decay of biases, norms, class token and positions.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys={
            '.cls_token': dict(decay_mult=0.),
            '.pos_embed': dict(decay_mult=0.),
            'head.balance': dict(decay_mult=0.),
            'head.cut': dict(decay_mult=0.),
        }))

val_cfg = test_cfg = dict()
