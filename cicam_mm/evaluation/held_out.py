"""Images for choosing settings, separate from the test images."""
from copy import deepcopy
from os.path import realpath

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset

from cicam_mm.datasets.wrappers import build_dataset, leaf_configs, pipeline_config
from cicam_mm.utils.errors import UserError

SPLITS = ('val', 'train', 'test')


def loader_of_split(cfg: Config, split: str) -> ConfigDict:
    """The dataloader that predicts the images of a split: 'val', 'test', or 'train'.

    The training images come with the test pipeline. A split that the config lacks is a UserError,
    and so is 'val' with test images.
    """
    if cfg.get(f'{split}_dataloader') is None:
        raise UserError(f'the config has no {split}_dataloader; choose another split of '
                        f'{", ".join(SPLITS)}.')
    if split == 'train':
        loader, dataset = deepcopy(cfg.test_dataloader), deepcopy(cfg.train_dataloader.dataset)
        for leaf in leaf_configs(dataset):
            leaf.update(pipeline=pipeline_config(cfg.test_dataloader.dataset), test_mode=True)
        loader.dataset = dataset
        return loader
    if split == 'val':
        check_held_out(cfg, 'search on the training images with --split train, or on the test '
                       'images all the same with --split test')
    return cfg[f'{split}_dataloader']


def check_held_out(cfg: Config, otherwise: str) -> None:
    """Refuse a config whose validation images are missing, or are test images.

    ``otherwise`` is the advice to users who cannot change the images.
    """
    if cfg.get('val_dataloader') is None:
        raise UserError(f'the config has no val_dataloader; add one, or {otherwise}.')
    val, test = (images_of(build_dataset(cfg[name].dataset))
                 for name in ('val_dataloader', 'test_dataloader'))
    if val & test:
        raise UserError(
            f'{len(val & test)} of the {len(val)} validation images are test images, which must '
            f'not be used to choose settings; give val_dataloader other images, or {otherwise}.')


def images_of(dataset: BaseDataset) -> set:
    """Identifiers of the images of a data set: paths, or the content of images without one."""
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {realpath(info['img_path']) if 'img_path' in info else info['img'].tobytes()
            for info in infos}
