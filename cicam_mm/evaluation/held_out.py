"""Images for choosing settings, separate from the test images."""
from copy import deepcopy
from os.path import abspath

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.errors import UserError

SPLITS = ('val', 'train', 'test')


def loader_of_split(cfg: Config, split: str) -> ConfigDict:
    """The dataloader for predicting the images of a split.

    Args:
        cfg (Config): A config with ``val_dataloader``, ``test_dataloader`` and so on.
        split (str): 'val'; 'train' for the training images with the test pipeline; or 'test'.

    Returns:
        ConfigDict: Config of a dataloader.

    Raises:
        ValueError: If the split is 'val' and holds test images, or the config has no such split.
    """
    if cfg.get(f'{split}_dataloader') is None:
        raise UserError(f'the config has no {split}_dataloader; choose another one of the splits '
                        f'{", ".join(SPLITS)}.')
    if split == 'train':
        loader, dataset = deepcopy(cfg.test_dataloader), deepcopy(cfg.train_dataloader.dataset)
        innermost(dataset).update(
            pipeline=innermost(cfg.test_dataloader.dataset).pipeline, test_mode=True)
        loader.dataset = dataset
        return loader
    if split == 'val':
        check_held_out(cfg, 'choose on the training images with --split train or, nevertheless, '
                       'on the test images with --split test')
    return cfg[f'{split}_dataloader']


def check_held_out(cfg: Config, otherwise: str) -> None:
    """Check that a config has validation images and that none of them is a test image.

    Args:
        cfg (Config): A config with ``val_dataloader`` and ``test_dataloader``.
        otherwise (str): What the user can do instead of changing them, for the message.

    Raises:
        UserError: If the val split is missing or holds test images.
    """
    if cfg.get('val_dataloader') is None:
        raise UserError(f'the config has no val_dataloader; give it one, or {otherwise}.')
    val, test = (images_of(DATASETS.build(cfg[name].dataset))
                 for name in ('val_dataloader', 'test_dataloader'))
    if val & test:
        raise UserError(
            f'{len(val & test)} of the {len(val)} validation images are test images, which must '
            f'not be used to choose settings; give val_dataloader other images, or {otherwise}.')


def images_of(dataset: BaseDataset) -> set:
    """Identifiers of the images of a data set: paths, or the content of images without one."""
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {abspath(info['img_path']) if 'img_path' in info else info['img'].tobytes()
            for info in infos}


def innermost(dataset: ConfigDict) -> ConfigDict:
    """Config of the data set inside all wrappers, such as RepeatDataset."""
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset
