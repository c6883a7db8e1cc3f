# MEIL on the demo set: EIL behind the last two stages, all losses added. Depths and wiring are
# unverified.
_base_ = 'eil_tiny_shapes.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(2, 3))]))
