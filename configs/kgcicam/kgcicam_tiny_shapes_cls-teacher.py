# KG-CI-CAM on the demo set, the classification teacher.
_base_ = '../cicam_tiny_shapes.py'

model = dict(type='KGTeacher', aux='fore', aux_weight=1., mask_theta=0.08, area_weight=0.04)
