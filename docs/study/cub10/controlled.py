# On ten classes of CUB: CI-CAM whose pool has controls, see ../controlled.py.
_base_ = '../../../configs/cicam_vgg16_cub10_last-stage.py'

custom_imports = dict(imports=['cicam_mm', 'controlled_pool'])
model = dict(head=dict(pool=dict(type='ControlledPool')))
