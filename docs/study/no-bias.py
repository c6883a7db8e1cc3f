# CI-CAM whose projection has no bias.
_base_ = 'own.py'

model = dict(head=dict(pool=dict(bias=False)))
