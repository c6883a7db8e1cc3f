# CI-CAM whose projection has no bias.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(bias=False)))
