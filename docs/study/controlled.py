# CI-CAM whose pool has controls; Python has to find them: PYTHONPATH=docs/study.
_base_ = 'own.py'

custom_imports = dict(imports=['cicam_mm', 'controlled_pool'])
model = dict(head=dict(pool=dict(type='ControlledPool')))
