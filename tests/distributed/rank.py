"""One rank of a test, in a process of its own, and the training it runs."""
import faulthandler
import os
import runpy
from copy import deepcopy
from functools import cache
from pathlib import Path

import mmengine.config.config
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cicam_mm.engine.runner import build_runner

ROOT = Path(__file__).parents[2]
EPOCHS, STEPS, BATCH = 4, 3, 4


def run_rank(file: str, function: str, args: tuple, folder: Path, variables: dict[str, str]):
    """Call a function of a test file under a launcher's variables; save what it returns."""
    faulthandler.dump_traceback_later(30)  # where it hangs, should it do so
    os.environ.update(variables)
    torch.set_num_threads(1)
    result = runpy.run_path(file)[function](*args)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    part = folder / f'{variables["RANK"]}.part'
    torch.save(result, part)
    part.rename(part.with_suffix('.pt'))


@cache
def read_once(path: Path) -> Config:
    """A config, which takes a tenth of a second; copy it before you change it."""
    return Config.fromfile(path)


def small_runner(work_dir: Path, **options) -> Runner:
    """The demo's CI-CAM cut down, started as ``tools/train.py --resume`` does."""
    return build_runner(small_config(work_dir, **options))


def small_config(work_dir: Path, **options) -> Config:
    """The config of :func:`small_runner`."""
    # half of the time otherwise, for a text that nobody reads
    mmengine.config.config.FormatCode = lambda text, **kwargs: (text, False)
    mmengine.runner.runner.collect_env = dict
    cfg = deepcopy(read_once(ROOT / 'configs' / 'cicam_tiny_shapes.py'))
    cfg.merge_from_dict({
        'launcher': 'pytorch', 'resume': True, 'work_dir': str(work_dir), 'log_level': 'ERROR',
        'model.backbone.base_channels': 4, 'model.backbone.init_cfg': None,
        'model.head.in_channels': 16,
        'train_cfg.max_epochs': EPOCHS, 'train_dataloader.num_workers': 0,
        'train_dataloader.batch_size': BATCH // int(os.environ.get('WORLD_SIZE', 1)),
        'auto_scale_lr.base_batch_size': BATCH,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.dataset.num_images': BATCH * STEPS,
        'train_dataloader.dataset.serialize_data': False,
        'test_dataloader.dataset.num_images': 6,  # is built for the names of its classes
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None,
        **options,
    })
    return cfg
