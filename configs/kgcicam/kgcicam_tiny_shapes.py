# KG-CI-CAM on the demo set, the student. Train the teachers first; augmentation is that of the
# other methods.
_base_ = '../cicam_tiny_shapes.py'

model = dict(
    type='KGStudent',
    teachers=dict(
        classification=dict(
            config='{{fileDirname}}/kgcicam_tiny_shapes_cls-teacher.py',
            checkpoint='work_dirs/kgcicam_tiny_shapes_cls-teacher/epoch_5.pth'),
        localization=dict(
            config='{{fileDirname}}/kgcicam_tiny_shapes_loc-teacher.py',
            checkpoint='work_dirs/kgcicam_tiny_shapes_loc-teacher/epoch_5.pth')),
    teacher_weight=0.8,
    temperature=15.,
    kl='released')

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='ChooseTeacher', transforms=dict(none=[], classification=[], localization=[])),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', algorithm_keys=('teacher', )),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
