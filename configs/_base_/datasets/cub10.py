# Ten classes of CUB, for two cores: lists of these classes in the official layout. Training views
# are squashed as in testing, because features do not adapt to other object sizes in a few epochs.
_base_ = 'cub_squashed.py'
data_root = '{{$CICAM_CUB10:data/cub10}}'
data_preprocessor = dict(num_classes=10)

train_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
