# KG-CI-CAM on CUB-200-2011, the classification teacher.
_base_ = '../cicam_vgg16_cub_center-crop.py'

model = dict(type='KGTeacher', aux='fore', aux_weight=1., mask_theta=0.08, area_weight=0.04)

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.), backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, backend='cv2'),
    # to float32 alone: in uint8, Lighting wraps around
    dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1], to_rgb=False),
    # principal components of ImageNet's colours, in BGR
    dict(
        type='Lighting',
        eigval=[55.4625, 4.7940, 1.1475],
        eigvec=[[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140],
                [-0.5675, 0.7192, 0.4009]],
        alphastd=0.1),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
