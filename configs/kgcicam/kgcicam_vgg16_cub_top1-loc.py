# KG-CI-CAM on CUB-200-2011, with the localization teacher with the best Top-1 Loc.
_base_ = 'kgcicam_vgg16_cub.py'

model = dict(
    teachers=dict(
        localization=dict(
            config='{{fileDirname}}/kgcicam_vgg16_cub_top1-loc-teacher.py',
            checkpoint='work_dirs/kgcicam_vgg16_cub_top1-loc-teacher/epoch_85.pth')),
    head=dict(pool=dict(update_rate=0.01)))
