# NL-CCAM's combined map on the demo set: one branch, no pool. As in ../cicam_tiny_shapes.py there
# are no non-local blocks, which would see the whole image.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(head=dict(localizer=dict(map_rule='quadratic', box_rule='nl_ccam', theta=0.)))
