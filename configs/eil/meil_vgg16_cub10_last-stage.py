# MEIL: EIL behind the last two stages, all losses added. Depths and wiring are unverified.
_base_ = 'eil_vgg16_cub10_last-stage.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(4, 5))]))
