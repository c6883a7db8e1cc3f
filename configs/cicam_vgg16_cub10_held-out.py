# CI-CAM on four fifths of the training images; the others are the val split, to choose theta on.
_base_ = 'cicam_vgg16_cub10.py'

train_dataloader = dict(dataset=dict(indices=[i for i in range(300) if i % 5]))
val_dataloader = dict(dataset=dict(split='train', indices=list(range(0, 300, 5))))
