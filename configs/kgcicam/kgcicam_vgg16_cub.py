# KG-CI-CAM on CUB-200-2011, the student of the classification teacher and of the localization
# teacher with the best GT-known Loc. Train these first.
_base_ = '../cicam_vgg16_cub_center-crop.py'

model = dict(
    type='KGStudent',
    teachers=dict(
        classification=dict(
            config='{{fileDirname}}/kgcicam_vgg16_cub_cls-teacher.py',
            checkpoint='work_dirs/kgcicam_vgg16_cub_cls-teacher/epoch_100.pth'),
        localization=dict(
            config='{{fileDirname}}/kgcicam_vgg16_cub_loc-teacher.py',
            checkpoint='work_dirs/kgcicam_vgg16_cub_loc-teacher/epoch_70.pth')),
    teacher_weight=0.8,
    temperature=15.,
    kl='released',
    head=dict(pool=dict(update_rate=0.002)))

# the release's RandAugment: magnitude 10 of 30, each operation with certainty
operations = [
    dict(type='AutoContrast'),
    dict(type='Equalize'),
    dict(type='Invert'),
    dict(type='Rotate', angle=10.),
    dict(type='Posterize', bits=1),
    dict(type='Solarize', thr=85),
    dict(type='SolarizeAdd', magnitude=36),
    dict(type='ColorTransform', magnitude=-0.3, random_negative_prob=0.),
    dict(type='Contrast', magnitude=-0.3, random_negative_prob=0.),
    dict(type='Brightness', magnitude=-0.3, random_negative_prob=0.),
    dict(type='Sharpness', magnitude=-0.3, random_negative_prob=0.),
    dict(type='Shear', magnitude=0.1, direction='horizontal'),
    dict(type='Shear', magnitude=0.1, direction='vertical'),
    dict(type='Cutout', shape=13, pad_val=(125, 123, 114)),
    dict(type='Translate', magnitude=1 / 15, direction='horizontal'),  # 33 of 500 px
    dict(type='Translate', magnitude=1 / 15, direction='vertical'),
]
crop = dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.), backend='pillow')
without_teacher = [
    dict(type='RandAugment', policies=operations, num_policies=3, magnitude_level=10,
         hparams=dict(prob=1., pad_val=0)),
    crop,
]

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(
        type='ChooseTeacher',
        transforms=dict(
            none=without_teacher,
            classification=[crop],
            localization=[dict(crop, crop_ratio_range=(0.1, 1.))])),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', algorithm_keys=('teacher', )),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# (1 - epoch / 100)^0.9, halved every 40 epochs
param_scheduler = [
    dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True),
    dict(type='StepLR', step_size=40, gamma=0.5, by_epoch=True),
]
