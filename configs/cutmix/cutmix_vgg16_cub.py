# CutMix on CUB-200-2011 as trained and tested in "Evaluating WSOL Methods Right" (CVPR 2020),
# where its options were tuned but are not published: these are the authors' for ILSVRC.
_base_ = '../cam/cam_vgg16_cub_wsoleval.py'

# alpha is beta of the paper
model = dict(train_cfg=dict(augments=dict(type='CutMix', alpha=1.), probs=1.))
