# KG-CI-CAM on the demo set, the localization teacher.
_base_ = '../cicam_tiny_shapes.py'

model = dict(type='KGTeacher', aux='diff_aux', aux_weight=0.5, mask_theta=0., area_weight=0.)
