# Ablation "TwoC" of the paper's Table 3, tested as there: two branches, no causal context pool.
_base_ = 'cicam_vgg16_cub_release.py'

model = dict(head=dict(pool=None))
custom_hooks = []
