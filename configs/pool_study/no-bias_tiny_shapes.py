# CI-CAM whose projection has no bias.
_base_ = 'own_tiny_shapes.py'

model = dict(head=dict(pool=dict(bias=False)))
