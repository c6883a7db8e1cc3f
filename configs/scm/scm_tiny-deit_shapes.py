# SCM on the demo set.
_base_ = '../ts-cam/ts-cam_tiny-deit_shapes.py'

model = dict(head=dict(type='SCMHead'))
