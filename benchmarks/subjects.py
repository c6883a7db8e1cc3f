"""What the README and docs/performance.md claim about speed and memory."""
import multiprocessing
import resource
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpretrain import get_model
from mmpretrain.registry import METRICS, MODELS
from mmpretrain.structures import DataSample

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.batch import Options, localize_files
from cicam_mm.engine.feature_cache_hook import FeatureStore
from cicam_mm.models import find_pools, localize_by
from cicam_mm.models.memory_format import order_images

from . import naive_cicam
from .pairs import Comparison, compare

CONFIGS = Path(__file__).parents[1] / 'configs'
CICAM = CONFIGS / 'cicam_vgg16_cub.py'
SIDE = 224
PLAIN = 'VGG16, linear classifier'
#: Step's arguments for each variant; the plain one is MMPretrain's VGG16 with one linear layer.
VARIANTS = {
    PLAIN: dict(options={
        'model.backbone': dict(_delete_=True, type='VGG', depth=16, with_last_pool=False),
        'model.head': dict(_delete_=True, type='CAMHead', num_classes=200, in_channels=512)}),
    'CI-CAM': {},
    'CI-CAM, 1,000 classes': dict(options={'model.head.num_classes': 1000}),
    'CI-CAM by the formulas as printed': dict(naive=True),
}


def build(config: Path = CICAM, options: Mapping | None = None) -> torch.nn.Module:
    """The model of a config without pretrained weights, whose non-local blocks do something."""
    cfg = Config.fromfile(config)
    cfg.model.backbone.pop('init_cfg', None)
    cfg.merge_from_dict(options or {})
    model = MODELS.build(dict(cfg.model, data_preprocessor=dict(
        cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor') or {})))
    for block in getattr(model.backbone, 'non_local', {}).values():
        torch.nn.init.normal_(block.norm.weight, std=0.1)
    return model


class Step:
    """A training step on a batch of noise: forward, pool, backward and Adam.

    With ``naive`` by the formulas as printed in the paper.
    """

    def __init__(self, batch: int, device: str, config: Path = CICAM,
                 options: Mapping | None = None, naive: bool = False):
        torch.manual_seed(0)
        self.model = build(config, options).train().to(device)
        for pool in find_pools(self.model):
            pool.has_updater = True
        self.naive = naive
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.images = torch.randn(batch, 3, SIDE, SIDE, device=device)
        num_classes = self.model.head.num_classes
        self.labels = torch.randint(num_classes, (batch, ), device=device)

    def __call__(self):
        loss = self._naive_loss() if self.naive else self._loss()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _loss(self):
        samples = [DataSample().set_gt_label(label) for label in self.labels]
        losses = self.model(self.images, samples, mode='loss')
        for pool in find_pools(self.model):
            pool.update(*pool.take_pending())
        return sum(value for name, value in losses.items() if 'loss' in name)

    def _naive_loss(self):
        pool = self.model.head.pool
        *losses, maps, classes = naive_cicam.losses(self.model, self.images, self.labels)
        pool.pool.copy_(naive_cicam.updated_pool(
            pool.pool, maps, classes, self.labels, pool.update_rate))
        return sum(losses)


def training(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """A training step of CI-CAM against the plain classifier and the formulas as printed."""
    steps = {name: Step(batch, device, **variant) for name, variant in VARIANTS.items()}
    yield from compare(f'training step, batch {batch}', steps, pairs, device=device)


def cache(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """A training step of CI-CAM's last layers, with and without frozen stages on disk."""
    for frozen in (4, 5):
        with tempfile.TemporaryDirectory() as folder:
            steps = {f'{frozen} frozen stages{", cached" * bool(where)}': CachedStep(
                batch, device, frozen, where) for where in (None, Path(folder))}
            yield from compare(f'training step, batch {batch}', steps, pairs)


class CachedStep(Step):
    """A step behind frozen stages, whose output it reads from a folder if there is one."""

    def __init__(self, batch: int, device: str, frozen: int, folder: Path | None):
        super().__init__(batch, device, options={
            'model.backbone.non_local_stages': (), 'model.backbone.frozen_stages': frozen})
        self.store = None
        if folder:
            backbone = self.model.backbone
            with torch.no_grad():
                features = backbone.frozen_part().eval()(
                    order_images(self.images, backbone.memory_format))
            self.store = FeatureStore(folder, batch, features.shape[1:], torch.float32)
            self.store.write([*range(batch)], features)
            backbone.skip_frozen_part()

    def __call__(self):
        if self.store:
            self.images = torch.stack(
                [self.store.values[i].clone() for i in range(len(self.images))])
        super().__call__()


def methods(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """A training step of each method, with the model of its config, against plain CAM."""
    paths = {path.stem.removesuffix('_vgg16_cub'): path
             for path in sorted(CONFIGS.glob('*/*_vgg16_cub.py'))}
    paths = {'cam': paths.pop('cam'), **paths, 'cicam': CICAM}
    steps = {name: Step(batch, device, path) for name, path in paths.items()}
    yield from compare(f'training step of methods, batch {batch}', steps, pairs, device=device)


#: Networks of MMPretrain's zoo, and methods of ``--cam`` for them.
CLASSIFIERS = {
    'resnet50_8xb32_in1k': ('gradcam', 'gradcam++', 'xgradcam', 'layercam', 'eigencam'),
    'deit-small_4xb256_in1k': ('gradcam', 'layercam', 'rollout', 'gradient-rollout'),
}


def maps(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """One map of each image by the methods of ``--cam``, against a classifier's forward pass."""
    images = torch.randn(batch, 3, SIDE, SIDE, device=device)

    def localize(model):
        scores, class_maps = model.head.localize(model.extract_feat(images))
        class_maps.of_classes(scores.argmax(dim=1, keepdim=True))

    for name, methods in CLASSIFIERS.items():
        plain = get_model(name, device=device).eval()
        actions = {method: partial(localize, localize_by(get_model(name, device=device), method))
                   for method in methods}
        with torch.no_grad():
            yield from compare(f'one map of each image, batch {batch}, {name}', {
                'forward pass': partial(plain, images), **actions}, pairs, batch, device)


def prediction(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """Classes and boxes of CI-CAM against the classes of the plain classifier."""
    torch.manual_seed(0)
    plain, ours = (build(**VARIANTS[name]).eval().to(device) for name in (PLAIN, 'CI-CAM'))
    images = torch.randn(batch, 3, SIDE, SIDE, device=device)
    samples = [DataSample(metainfo=dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE)))
               for _ in images]
    with torch.no_grad():
        yield from compare(f'prediction of an image, batch {batch}', {
            PLAIN: partial(plain, images), 'CI-CAM with boxes': partial(
                ours.predict, images, samples)}, pairs, batch, device)


def inference(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """From JPEGs to files of boxes, in one process, against the forward passes alone."""
    cfg = Config.fromfile(CICAM)
    cfg.model.backbone.init_cfg = None
    inferencer = WSOLInferencer(cfg, False, device)
    images, batches = torch.randn(batch, 3, SIDE, SIDE, device=device), 4
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        photo = Path(folder, 'photo.jpg')
        cv2.imwrite(str(photo), cv2.resize(noise, (500, 375), interpolation=cv2.INTER_CUBIC))

        def forward():
            for _ in range(batches):
                inferencer.model(images)

        def from_files():
            with redirect_stdout(StringIO()):
                localize_files(inferencer, [str(photo)] * batch * batches, Path(folder, 'out'),
                               Options(batch_size=batch, pictures=0), workers=0)

        yield from compare(
            f'inference of an image, batch {batch}, JPEGs of 500 x 375 pixels',
            {'forward passes alone': forward, 'from files to files': from_files}, pairs,
            batch * batches, device)


def metrics(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """Judging an image by each metric; MaxBoxAcc has 1,000 thresholds."""
    rng, box = np.random.default_rng(0), torch.tensor([40., 50., 170., 180.])
    maps = [torch.from_numpy(cv2.GaussianBlur(rng.random((14, 14)), (0, 0), 1 + i / 4))
            for i in range(5)]
    samples = [dict(
        gt_label=torch.tensor([1]), gt_bboxes=box[None].numpy(), gt_mask=np.ones((SIDE, SIDE)),
        top_labels=torch.arange(5), pred_boxes=box.expand(5, 4), pred_box=box, label_box=box,
        pred_label=torch.tensor([0]), img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE),
        label_map=one, score_map=one) for one in maps]
    names = 'WSOLMetric', 'LocalizationErrors', 'MaxBoxAcc', 'PxAP'
    actions = {name: partial(METRICS.build(dict(type=name)).process, None, samples)
               for name in names}
    yield from compare('judging an image', actions, pairs, len(samples))


def memory(pairs: int, batch: int, device: str) -> Iterator[Comparison]:
    """Peak memory of a process that trains three steps; on a GPU, of its tensors."""
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as processes:
        peaks = {name: processes.apply(_peak, (name, batch, device)) for name in VARIANTS}
    for name, peak in peaks.items():
        ratio = peak / peaks[PLAIN]
        yield Comparison(f'peak memory of training, batch {batch}', name, ratio, ratio, ratio,
                         peak, 'GB', 1)


def _peak(name, batch, device):
    step = Step(batch, device, **VARIANTS[name])
    for _ in range(3):
        step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


#: In the order of measurement; memory first, since a process inherits the peak of its parent.
SUBJECTS = dict(memory=memory, training=training, cache=cache, methods=methods,
                prediction=prediction, maps=maps, inference=inference, metrics=metrics)
