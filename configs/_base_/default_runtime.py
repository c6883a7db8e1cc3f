default_scope = 'mmpretrain'

# registers the classes of this package, also in MMPretrain's own tools
custom_imports = dict(imports=['cicam_mm'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # atomic writes; two checkpoints, because the older one is removed before the next is written
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2,
                    backend_args=dict(backend='atomic')),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # augmentation depends only on (seed, epoch, image), so resumed runs equal uninterrupted ones
    epoch_seed=dict(type='EpochSeedHook'),
    checkpoint_fit=dict(type='CheckpointFitHook'),
    box_frame=dict(type='BoxFrameHook'),
    class_names=dict(type='ClassNamesHook'),
    non_finite_loss=dict(type='NonFiniteLossHook'),
    result_table=dict(type='ResultTableHook'))

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='LocalizationVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
