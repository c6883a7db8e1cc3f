# ILSVRC with the splits, views and metrics of "Evaluating WSOL Methods Right" (CVPR 2020):
# ImageNetV2 is the val split, for search_threshold.py; MaxBoxAcc reports its best threshold on the
# test images, which are ILSVRC's val images, as the reference does.
_base_ = 'cub_wsoleval.py'
data_root = 'data/wsol/dataset/ILSVRC'
list_root = 'data/wsol/metadata/ILSVRC'
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(
    batch_size=40,
    num_workers=8,
    dataset=dict(data_root=data_root, list_root=f'{list_root}/train', classes='imagenet'))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(data_root=data_root, list_root=f'{list_root}/val', classes='imagenet'))
test_dataloader = dict(
    num_workers=8,
    dataset=dict(data_root=data_root, list_root=f'{list_root}/test', classes='imagenet'))
