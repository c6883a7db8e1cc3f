"""Images to choose settings on that are not those to test on."""
from copy import deepcopy
from os.path import abspath

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.errors import UserError

SPLITS = ('val', 'train', 'test')


def loader_of_split(cfg: Config, split: str) -> ConfigDict:
    """The dataloader that predicts the images of a split.

    Args:
        cfg (Config): A config with ``val_dataloader``, ``test_dataloader`` and so on.
        split (str): 'val'; 'train', the training images with the pipeline of testing; or 'test'.

    Returns:
        ConfigDict: Config of a dataloader.

    Raises:
        ValueError: If the split is 'val' and holds test images, or the config has no such split.
    """
    if cfg.get(f'{split}_dataloader') is None:
        raise UserError(f'there is no {split}_dataloader; choose one of the splits '
                        f'{", ".join(SPLITS)} that the config has.')
    if split == 'train':
        loader, dataset = deepcopy(cfg.test_dataloader), deepcopy(cfg.train_dataloader.dataset)
        _innermost(dataset).update(
            pipeline=_innermost(cfg.test_dataloader.dataset).pipeline, test_mode=True)
        loader.dataset = dataset
        return loader
    if split == 'val':
        val, test = (images_of(DATASETS.build(cfg[name].dataset))
                     for name in ('val_dataloader', 'test_dataloader'))
        if val & test:
            raise UserError(
                f'{len(val & test)} of the {len(val)} validation images are test images, and '
                'what is chosen on those cannot be tested on them; give val_dataloader images of '
                'its own, or choose on the training images with --split train, or on the test '
                'images all the same with --split test.')
    return cfg[f'{split}_dataloader']


def images_of(dataset: BaseDataset) -> set:
    """What identifies the images of a data set: their paths, or their content without a path."""
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {abspath(info['img_path']) if 'img_path' in info else info['img'].tobytes()
            for info in infos}


def _innermost(dataset: ConfigDict) -> ConfigDict:
    """Config of the data set inside of all wrappers, such as RepeatDataset."""
    return _innermost(dataset.dataset) if 'dataset' in dataset else dataset
