# CAM with a 3x3 convolution before the classifier, beside the other methods on ten classes.
_base_ = '../_base_/cub10_last-stage.py'
