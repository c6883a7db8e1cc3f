# CAM on ten classes, with a 3x3 convolution before the classifier, as a baseline for the others.
_base_ = '../_base_/cub10_last-stage.py'
