# Fifty classes of CUB, for two cores: lists of these classes in the official layout. Training
# views are squashed as in testing, because features do not adapt to other sizes in a few epochs.
_base_ = 'cub_squashed.py'
data_root = '{{$CICAM_CUB50:data/cub50}}'
data_preprocessor = dict(num_classes=50)

train_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(
    data_root=data_root,
    # the val split, to choose theta on: every fifth training image, six of each class
    indices=[i for i in range(1500) if i % 5]))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(
    data_root=data_root, split='train', indices=list(range(0, 1500, 5))))
test_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
