# The splits of ILSVRC CLS-LOC (ImageNet-1k) as Kaggle publishes it, for configs with a pipeline.
ilsvrc_train = dict(
    type='ILSVRCLocalization',
    data_root='data/imagenet',
    data_prefix='ILSVRC/Data/CLS-LOC/train')
ilsvrc_val = dict(
    type='ILSVRCLocalization',
    data_root='data/imagenet',
    data_prefix='ILSVRC/Data/CLS-LOC/val',
    ann_file='LOC_val_solution.csv',  # or the XML files: 'ILSVRC/Annotations/CLS-LOC/val'
    test_mode=True)
