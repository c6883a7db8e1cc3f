# CI-CAM on the demo set: branch 2 reads the context of the class that branch 1 predicts. Judged by
# all that docs/what_the_pool_does.md reports; the other configs here are its controls.
_base_ = '../../configs/cicam_tiny_shapes.py'

test_evaluator = [
    dict(type='WSOLMetric'),
    dict(type='MaxBoxAcc', interval=0.01),
    dict(type='PxAP', interval=0.01),
    dict(type='LocalizationErrors'),
]
