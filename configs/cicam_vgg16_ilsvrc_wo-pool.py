# Ablation "TwoC" of the paper's Table 3 on ILSVRC: two branches, no causal context pool.
_base_ = 'cicam_vgg16_ilsvrc.py'

model = dict(head=dict(pool=None))
custom_hooks = []
