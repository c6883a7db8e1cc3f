# Ablation "TwoC" of the paper's Table 3 on ten classes: two branches, no causal context pool.
_base_ = 'cicam_vgg16_cub10_last-stage.py'

model = dict(head=dict(pool=None))
custom_hooks = []
