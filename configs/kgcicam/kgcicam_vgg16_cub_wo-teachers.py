# What KG-CI-CAM's tables call CI-CAM: its student without teachers, all images augmented by
# RandAugment, and no loss on branch 1.
_base_ = 'kgcicam_vgg16_cub.py'

model = dict(
    teachers=dict(_delete_=True),
    teacher_weight=0.,
    head=dict(pool=dict(update_rate=0.01)))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='ChooseTeacher', transforms=dict(none={{_base_.without_teacher}})),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', algorithm_keys=('teacher', )),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
