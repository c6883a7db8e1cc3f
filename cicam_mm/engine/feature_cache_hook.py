"""Frozen stages of a backbone computed once for each image and view, and read from disk later."""
import hashlib
import json
import os
import shutil
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Literal

import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.dist import barrier, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cicam_mm.checkpoints.weights import weights_digest
from cicam_mm.datasets.seeding import SeedPerSample
from cicam_mm.datasets.wrappers import pipeline_config
from cicam_mm.models.memory_format import order_images
from cicam_mm.utils.console import with_progress
from cicam_mm.utils.distributed import unwrapped
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import write_atomically


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Reads what the frozen stages of a :class:`NonLocalVGG` give from disk.

    Before the first epoch and the first test it stores the output of the frozen stages for each
    image, and for each of ``views`` augmented views of a training image; what is there already is
    not computed again, whichever run has stored it. View v is what epoch v of a run with seed 0
    sees. Epoch e of a run with seed s reads view (e + s * i) mod ``views`` of image i, so with one
    view an epoch a run with seed 0 equals the run without the cache. The test view has no
    augmentation. Checkpoints are those of the whole network.

    Entries lie in a folder named by a digest of the frozen modules and their weights, the
    pipeline, the images (list, labels, size and time of each file) and the precision.

    Args:
        folder (str): Where entries are kept; all ranks need to see it.
        views (int): Augmented views of each training image.
        dtype (str): Precision of what is stored. 'bfloat16' is also that of the computation, as
            with an :class:`AutocastOptimWrapper`; otherwise it is float32.

    Raises:
        UserError: If a part of the method acts before the features, or the disk is too small.
    """

    def __init__(self, folder: str, views: int = 4,
                 dtype: Literal['float32', 'float16', 'bfloat16'] = 'bfloat16'):
        self.folder = Path(folder)
        self.views = views
        self.dtype = getattr(torch, dtype)
        self._frozen = None

    def before_train(self, runner) -> None:
        self._cache(runner, 'train')

    def before_val(self, runner) -> None:
        self._cache(runner, 'val')

    def before_test(self, runner) -> None:
        self._cache(runner, 'test')

    def _cache(self, runner, split):
        if self._frozen is None:
            self._skip_frozen_part(runner.model)
        dataset = _dataset_of(runner, split)
        pipeline = dataset.pipeline
        if isinstance(pipeline, CachedPipeline):
            return
        seeder = next((t for t in pipeline.transforms if isinstance(t, SeedPerSample)), None)
        views = self.views if split == 'train' else 1
        if views > 1 and seeder is None:
            raise UserError('views of a training image differ by their seed; start the training '
                            "pipeline with dict(type='SeedPerSample'), or set views=1.")
        folder = self.folder / self._digest(runner.cfg, split, dataset)
        shape = self._features([dataset[0]], split).shape[1:]
        stores = [FeatureStore(folder / f'view_{view}', len(dataset), shape, self.dtype)
                  for view in range(views)]
        missing = [store.missing() for store in stores]
        if total := sum(map(len, missing)):
            needed = total * prod(shape) * self.dtype.itemsize
            free = shutil.disk_usage(folder).free
            runner.logger.info(
                f'Frozen features of the {split} images: {len(dataset)} images x {views} views, '
                f'{total} entries to compute, {needed / 1e9:.2f} GB, in {folder}')
            if free < needed:
                raise UserError(
                    f'the features need {needed / 1e9:.2f} GB, but {self.folder} has '
                    f'{free / 1e9:.2f} GB left; name another folder, or fewer views.')
        barrier()  # all ranks have seen what is missing before one of them adds to it
        for view, (store, indices) in enumerate(zip(stores, missing, strict=True)):
            if seeder:
                seeder.set_epoch(0, view)
            self._fill(runner, split, dataset, store, indices, f'view {view + 1} of {views}')
        if seeder:
            seeder.set_epoch(0, -1)  # until the EpochSeedHook sets it
        barrier()
        if any(len(store.missing()) for store in stores):
            raise UserError(f'not all entries of {folder} were written; name a folder that all '
                            'ranks see.')
        dataset.pipeline = CachedPipeline(pipeline, stores, seeder if split == 'train' else None)

    def _skip_frozen_part(self, model):
        model = unwrapped(model)
        backbone, preprocessor = model.backbone, model.data_preprocessor
        if not hasattr(backbone, 'frozen_part'):
            raise UserError(f'{type(backbone).__name__} cannot start behind its frozen stages; '
                            'NonLocalVGG can.')
        if preprocessor.batch_augments is not None:
            raise UserError('model.train_cfg.augments mixes images, which a cache of features '
                            'does not hold; train without FeatureCacheHook.')
        self._frozen = backbone.frozen_part().eval()
        self._preprocess, self._memory_format = preprocessor, backbone.memory_format
        backbone.skip_frozen_part()
        # features are neither normalized nor padded
        model.data_preprocessor = deepcopy(preprocessor)
        model.data_preprocessor.to_rgb = False
        model.data_preprocessor._enable_normalize = False
        model.data_preprocessor.pad_size_divisor = 1

    @torch.no_grad()
    def _features(self, items: list[dict], split: str) -> Tensor:
        images = self._preprocess(default_collate(items))['inputs']
        with torch.set_grad_enabled(split == 'train'):  # for the memory format of a training step
            images = order_images(images, self._memory_format)
        with torch.autocast(images.device.type, torch.bfloat16, self.dtype == torch.bfloat16):
            return self._frozen(images)

    def _fill(self, runner, split, dataset, store, missing, name):
        rank, world_size = get_dist_info()
        mine = missing[rank::world_size]
        if not mine:
            return
        loader = runner.cfg[f'{split}_dataloader']
        batches = DataLoader(Subset(dataset, mine), batch_size=16, collate_fn=list,
                             num_workers=loader.get('num_workers', 0))
        for items in with_progress(
                batches, lambda number: f'Frozen features of the {split} images: {name}, '
                                        f'{number * 16} of {len(mine)} images'):
            store.write([item['data_samples'].sample_idx for item in items],
                        self._features(items, split))

    def _digest(self, cfg: Config, split: str, dataset) -> str:
        """Name of the folder; what it stands for is written into it."""
        preprocessor = self._preprocess
        images = hashlib.sha256()
        for line in _identities(dataset):
            images.update(line)
        identity = dict(
            frozen=repr(self._frozen), weights=weights_digest(self._frozen),
            mean=getattr(preprocessor, 'mean', torch.empty(0)).flatten().tolist(),
            std=getattr(preprocessor, 'std', torch.empty(0)).flatten().tolist(),
            to_rgb=preprocessor.to_rgb, pad=preprocessor.pad_size_divisor,
            pipeline=pipeline_config(cfg[f'{split}_dataloader'].dataset),
            images=images.hexdigest(), dtype=str(self.dtype))
        content = json.dumps(identity, sort_keys=True, indent=1, default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        if is_main_process():
            write_atomically(self.folder / digest / 'identity.json', content)
        barrier()
        return digest


class FeatureStore:
    """Feature maps of N images in a memory-mapped file, and a flag for each that is there.

    Flags are written after the features, so a killed run leaves no entry that is half written.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...], dtype: torch.dtype):
        self._args = path, count, shape, dtype
        self.values = torch.from_file(
            f'{path}.bin', shared=True, size=count * prod(shape), dtype=dtype).view(count, *shape)
        self.done = torch.from_file(f'{path}.done', shared=True, size=count, dtype=torch.uint8)

    def __reduce__(self):
        return FeatureStore, self._args  # another process maps the files again

    def missing(self) -> list[int]:
        """Indices of the images without features."""
        return (self.done == 0).nonzero()[:, 0].tolist()

    def write(self, indices: list[int], features: Tensor) -> None:
        """Store the features of some images, shape (k, c, h, w)."""
        features = features.to(self.values)
        if not features.isfinite().all():
            raise UserError('some frozen features are not finite; check the weights, or take '
                            "another dtype than 'float16'.")
        self.values[indices] = features
        self.done[indices] = 1


class CachedPipeline:
    """In place of a data set's pipeline: its samples with features as their inputs.

    A training image is not read at all: its sample has what is known without it. A test sample is
    complete.
    """

    def __init__(self, pipeline, stores: list[FeatureStore], seeder: SeedPerSample | None):
        self.transforms = pipeline.transforms
        self._pipeline, self._stores, self._seeder = pipeline, stores, seeder

    def __call__(self, results: dict) -> dict:
        index = results['sample_idx']
        if self._seeder is None:
            packed, view = self._pipeline(results), 0
        else:
            seed, epoch = self._seeder.clock
            if epoch < 0:
                raise UserError('the view of a training image depends on the epoch; train with '
                                'an EpochBasedTrainLoop and an EpochSeedHook.')
            packed = self.transforms[-1](results)  # PackInputs, without an image
            view = (epoch + seed * index) % len(self._stores)
        return dict(packed, inputs=self._stores[view].values[index].clone())


def _dataset_of(runner, split):
    dataset = getattr(runner, f'{split}_dataloader').dataset
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if not hasattr(getattr(dataset, 'pipeline', None), 'transforms'):
        raise UserError(f'{type(dataset).__name__} has no pipeline of its own, so its features '
                        'cannot be cached; give one data set.')
    return dataset


def _identities(dataset):
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        image, path = info.pop('img', None), info.get('img_path')
        if path and Path(path).is_file():
            status = os.stat(path)
            info['file'] = status.st_size, status.st_mtime_ns
        yield json.dumps(info, sort_keys=True, default=repr).encode()
        if image is not None:
            yield image.tobytes()
