# ACoL on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(head=dict(type='ACoLHead', hidden_channels=32, threshold=0.6))
