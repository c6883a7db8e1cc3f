"""Real runs of a small classifier on class folders."""
import cv2
import numpy as np
import pytest
from mmengine.config import Config

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError


def folders(root, **splits):
    for split, names in splits.items():
        for name in names:
            (root / split / name).mkdir(parents=True)
            cv2.imwrite(str(root / split / name / 'a.png'), np.zeros((64, 64, 3), np.uint8))


@pytest.fixture
def config(toy_config, tmp_path):

    def config(num_classes, **options):
        cfg = Config.fromfile(toy_config)
        cfg.work_dir, cfg.log_level = str(tmp_path / 'work'), 'ERROR'
        cfg.model.head.num_classes = num_classes
        for split in 'train', 'val', 'test':
            cfg[f'{split}_dataloader'].update(batch_size=3, num_workers=0)
            cfg[f'{split}_dataloader'].dataset = dict(
                type='FolderLocalization', data_root=str(tmp_path), data_prefix=split,
                pipeline=[dict(type='LoadWSOLImage'), dict(type='PackInputs')])
        cfg.merge_from_dict(options)
        return cfg

    return config


NAMES = ['albatross', 'ani', 'auklet']


@pytest.mark.parametrize('splits, options, problem', [
    (dict(train=NAMES, val=['ani', 'auklet', 'zebra'], test=NAMES), {},
     "the validation set has other classes than the training set: class 0 is 'ani' instead of"),
    (dict(train=NAMES, val=NAMES, test=NAMES[:2]), {},
     "the test set has other classes than the training set: class 2 is None instead of 'auklet'"),
    (dict(train=NAMES, val=NAMES, test=NAMES),
     {'val_dataloader.dataset.classes': [NAMES[2], *NAMES[:2]]}, "class 0 is 'auklet' instead"),
    (dict(train=NAMES[:2], val=NAMES[:2], test=NAMES[:2]), {},
     'the training set has 2 classes but the head has num_classes=3; set model.head.num_cla'),
    (dict(train=NAMES[:1], val=NAMES[:1], test=NAMES[:1]), {'model.head.num_classes': 1},
     'the training set has the single class albatross, so there is nothing to learn'),
])
def test_a_training_with_other_names_ends_before_its_first_step(
        config, tmp_path, splits, options, problem):
    folders(tmp_path, **splits)
    with pytest.raises(UserError, match=problem):
        build_runner(config(3, **options)).train()
    assert not list((tmp_path / 'work').rglob('*.pth'))


def test_a_folder_may_be_missing_where_classes_are_given(config, tmp_path):
    folders(tmp_path, train=NAMES, val=NAMES[:2])  # the test set may lie on another machine
    options = {f'{split}_dataloader.dataset.classes': [NAMES[2], *NAMES[:2]]
               for split in ('train', 'val', 'test')}
    runner = build_runner(config(3, **options))
    runner.train()
    assert runner.train_dataloader.dataset.get_gt_labels().tolist() == [1, 2, 0]
    assert runner.val_dataloader.dataset.get_gt_labels().tolist() == [1, 2]
    checkpoint = str(tmp_path / 'work/epoch_1.pth')
    folders(tmp_path, more=NAMES)
    for action in 'test', 'resume':  # in alphabetical order
        cfg = config(3, load_from=checkpoint)
        for split in 'train', 'val', 'test':
            cfg[f'{split}_dataloader'].dataset.data_prefix = 'more'
        cfg.resume = action == 'resume'
        with pytest.raises(UserError, match="has other classes than the checkpoint: class 0 is "
                           "'albatross' instead of 'auklet'"):
            runner = build_runner(cfg)
            runner.train() if cfg.resume else runner.test()


def test_classes_of_a_separate_network_are_the_same(config, tmp_path):
    """A classifier for other boxes, trained with its classes in another order."""
    folders(tmp_path, train=NAMES, val=NAMES, test=NAMES)
    cfg = config(3)
    for split in 'train', 'val', 'test':
        cfg[f'{split}_dataloader'].dataset.classes = NAMES[::-1]
    cfg.dump(tmp_path / 'other.py')
    build_runner(cfg).train()
    checkpoint = str(tmp_path / 'work' / 'epoch_1.pth')
    cfg = config(3, **{'model.type': 'SeparateClassifier', 'model.head': dict(
        _delete_=True, type='PSOLHead', num_classes=3, in_channels=32), 'model.neck': None,
        'model.classifier': dict(config=str(tmp_path / 'other.py'), checkpoint=checkpoint)})
    with pytest.raises(UserError, match='the test set has other classes than the separate '
                       "classifier: class 0 is 'albatross' instead of 'auklet'"):
        build_runner(cfg).test()
