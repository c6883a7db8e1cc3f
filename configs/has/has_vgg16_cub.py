# HaS on CUB-200-2011 as trained and tested in "Evaluating WSOL Methods Right" (CVPR 2020), where
# cell sides and probability were tuned but are not published: these are the authors'.
_base_ = '../cam/cam_vgg16_cub_wsoleval.py'

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='HideAndSeek', sides=(32, ), prob=0.5),
    _base_.train_pipeline[-1],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
