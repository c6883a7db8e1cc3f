# DDT on ten classes of CUB.
_base_ = 'ddt_vgg16_cub.py'
data_root = '{{$CICAM_CUB10:data/cub10}}'

model = dict(head=dict(num_classes=10))

data_preprocessor = dict(num_classes=10)
train_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
test_evaluator = [dict(type='WSOLMetric'), dict(type='MaxBoxAcc')]
