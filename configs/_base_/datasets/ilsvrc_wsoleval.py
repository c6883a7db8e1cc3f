# ILSVRC with the splits, views and metrics of "Evaluating WSOL Methods Right" (CVPR 2020):
# thresholds are chosen on ImageNetV2, which is held out, and results are for ILSVRC's val images.
_base_ = 'cub_wsoleval.py'
data_root = 'data/wsol/dataset/ILSVRC'
list_root = 'data/wsol/metadata/ILSVRC'
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(
    batch_size=40,
    num_workers=8,
    dataset=dict(data_root=data_root, list_root=f'{list_root}/train'))
val_dataloader = dict(
    num_workers=8, dataset=dict(data_root=data_root, list_root=f'{list_root}/val'))
test_dataloader = dict(
    num_workers=8, dataset=dict(data_root=data_root, list_root=f'{list_root}/test'))
