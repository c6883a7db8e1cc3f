"""Models that localize, and batches of images prepared by the test pipeline of their config."""
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmpretrain.apis import BaseInferencer, get_model
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample
from mmpretrain.utils import track
from torch import Tensor

from cicam_mm.checkpoints.loading import load_checkpoint
from cicam_mm.checkpoints.weights import load_all_weights
from cicam_mm.datasets.box_frame import check_frame, check_whole_images, frame_of
from cicam_mm.datasets.classes import (
    SHARED,
    check_same_classes,
    check_unique,
    classes_of_checkpoint,
)
from cicam_mm.datasets.images import MAX_PIXELS
from cicam_mm.datasets.load_image import max_pixels_of
from cicam_mm.datasets.wrappers import leaf_configs, pipeline_config
from cicam_mm.localization import ClassMaps
from cicam_mm.models.localized_classifier import localize_by
from cicam_mm.models.wsol_head import WSOLHead
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.settings import check_takers
from cicam_mm.visualization.overlay import three_channels
from cicam_mm.visualization.pictures import sample_name
from cicam_mm.visualization.visualizer import LocalizationVisualizer, class_name, reduce_to_draw

from .configs import read_config, whole_image_pipeline
from .inputs import Record, find_images

#: The config of an inferencer that is given none.
BUNDLED = 'cicam_mm::imagenet/efficientnet-lite0.py'


@dataclass  # torch's loader would convert the arrays in a tuple
class PreparedBatch:
    """Consecutive inputs.

    Attributes:
        data: What the network takes; None if no input can be read.
        pictures: Images that are kept, by their index, see :func:`reduce_to_draw`.
        left_out: For each unreadable input ``sample_idx``, ``img_path`` and why, ``left_out``.
    """
    data: dict | None
    pictures: dict[int, np.ndarray]
    left_out: list[dict]


def prepare_batch(inputs: Iterable[Record | np.ndarray],
                  first: int,
                  pipeline: Callable[[dict], dict],
                  max_pixels: int = MAX_PIXELS,
                  is_kept: Callable[[int], bool] = lambda index: True) -> PreparedBatch:
    """Read consecutive inputs, of which ``first`` is the index of the first, see :func:`prepare`.

    Inputs that fail in the pipeline count as unreadable.
    """
    prepared, pictures, left_out = [], {}, []
    for index, source in enumerate(inputs, first):
        info: dict = dict(sample_idx=index)
        try:
            if isinstance(source, Record):
                info['img_path'] = source.name
                if source.label is not None:
                    info['gt_label'] = source.label
                image, ori_shape = source.read(max_pixels)
            else:
                image = np.ascontiguousarray(three_channels(source)[..., ::-1])
                ori_shape = image.shape[:2]
            prepared.append(prepare(pipeline, image, ori_shape, **info))
            if is_kept(index):
                pictures[index] = reduce_to_draw(image)
        except OSError as error:
            left_out.append(dict(
                sample_idx=index, img_path=info.get('img_path'), left_out=str(error)))
    return PreparedBatch(_collate(prepared) if prepared else None, pictures, left_out)


def prepare(pipeline: Callable[[dict], dict], image: np.ndarray, ori_shape: tuple[int, int],
            **info) -> dict:
    """Pass an image, RGB, uint8, (h, w, 3), through a pipeline without its loading transform.

    Boxes refer to the whole image, (H, W) in ``ori_shape``, which ``image`` is a reduction of if
    it was reduced as it was decoded. ``info`` are further entries of the pipeline's dict.

    Raises:
        OSError: If the pipeline fails; the message names the image.
    """
    try:
        # pipelines change the dict they are given, and some the array
        return pipeline(dict(info, img=image[..., ::-1].copy(), img_shape=image.shape[:2],
                             ori_shape=ori_shape, instances=[]))
    except Exception as error:  # transforms can raise anything for unusual sizes
        height, width = ori_shape
        name = info.get('img_path', f'image {info.get("sample_idx")}')
        raise OSError(f'the test pipeline fails on {name!r} of {width} x {height} pixels: '
                      f'{type(error).__name__}: {error}') from error


def _collate(prepared):
    try:
        return default_collate(prepared)
    except RuntimeError as error:
        if 'equal size' not in str(error):
            raise
        raise UserError('the test pipeline of this config gives images of different sizes, which '
                        'cannot be batched; use --batch-size 1.') from error


def load_model(config: str | Path | Config,
               checkpoint: str | Path,
               device: str | torch.device | None = None,
               **kwargs) -> BaseModel:
    """Like mmpretrain's ``get_model``, but the checkpoint has to fit the model.

    The model, by default on the CPU, has the class names of the checkpoint.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        UserError: If it does not fit, or holds values that are not finite or invalid class names.
    """
    config = config if isinstance(config, Config) else read_config(config)
    check_takers({key: config[key] for key in ('model', 'data_preprocessor', 'test_dataloader')
                  if key in config})
    model = get_model(config, pretrained=False, **kwargs)
    loaded = load_checkpoint(checkpoint)
    load_all_weights(model, loaded, str(checkpoint))
    if (metainfo := classes_of_checkpoint(loaded, str(checkpoint))) is not None:
        if metainfo.get('classes'):
            check_class_count(model, metainfo['classes'], f'the checkpoint {checkpoint}')
        model._dataset_meta = metainfo
    return model if device is None else model.to(device)


def check_class_count(model: BaseModel, classes: Sequence[str], source: str) -> None:
    """Raise a UserError unless there is a name for each class of a model."""
    count = getattr(getattr(model, 'head', None), 'num_classes', len(classes))
    if len(classes) != count:
        raise UserError(f'{source} names {len(classes)} classes, but the model has {count}; give '
                        'one name for each class, in the order of the labels.')


def check_renaming(known: Sequence[str], names: Sequence[str]) -> None:
    """Check that names for the classes of a checkpoint do not swap them.

    Raises:
        UserError: If two are equal, or one is that of another class in the checkpoint.
    """
    check_unique(names, 'the given list', SHARED)
    for label, (name, old) in enumerate(zip(names, known, strict=False)):
        if name != old and name in known:
            raise UserError(f'the given list has {name!r} for class {label}, but the checkpoint '
                            f'has it for class {known.index(name)}; give the names in the order '
                            'of the labels, or none.')


class WSOLInferencer(BaseInferencer):
    """Predicts classes, score maps and boxes of any images, like mmpretrain's inferencers.

    Images pass through the test pipeline of the model's config, so boxes are the same as those of
    ``tools/test.py``; boxes of photos with an EXIF orientation refer to the upright picture.

    Args:
        model: Path of a config, the config, or a model from mmpretrain's ``get_model``. By
            default the ImageNet classifier of ``configs/imagenet/``, whose weights come with the
            extra ``imagenet``.
        pretrained: Path or address of the checkpoint, by default the config's ``load_from``.
        device: By default a GPU if there is one; a given model stays on its device.
        classes: Names of the classes, by default those in the checkpoint or, if they are as many
            as the model's, in the config's data set.
        style: Colours of the pictures, see :class:`LocalizationVisualizer`.
        cam: The method, see :func:`localize_by`, if config and checkpoint are those of any
            MMPretrain classifier; whole images are squashed.
        target_layers: Names of the layers that the method takes, by default the last one that
            gives a map.
        **kwargs: Other arguments of mmpretrain's ``BaseInferencer``.

    Raises:
        ValueError: If the model does not localize, the config's boxes refer to a crop instead of
            the image, or the checkpoint does not fit the model.

    Examples:
        >>> WSOLInferencer()('photos/cat.jpg')[0]['pred_class']
        'Egyptian cat'
        >>> inferencer = WSOLInferencer('configs/cicam_tiny_shapes.py', 'epoch_5.pth')
        >>> inferencer('photos', batch_size=8, show_dir='shown')[0]['pred_box']
        [31, 8, 77, 60]
    """

    model: BaseModel

    def __init__(self,
                 model: BaseModel | str | Config | None = None,
                 pretrained: str | bool = True,
                 device: str | torch.device | None = None,
                 classes: Sequence[str] | None = None,
                 style: str | dict = 'paper',
                 cam: str | None = None,
                 target_layers: Sequence[str] = (),
                 **kwargs):
        self._squashes = bool(cam)
        if model is None:
            model = BUNDLED
        if device is None and not isinstance(model, BaseModel):
            device = get_device()
        if isinstance(model, (Path, Config)) or str(model).endswith('.py'):
            cfg = model if isinstance(model, Config) else read_config(model)
            if checkpoint := cfg.get('load_from') if pretrained is True else pretrained:
                model, pretrained = load_model(cfg, checkpoint, device, **kwargs), False
                device, kwargs = None, {}
        super().__init__(model, pretrained, device, **kwargs)
        if cam:
            self.model = localize_by(self.model, cam, target_layers)
        head = getattr(self.model, 'head', None)
        if not isinstance(head, WSOLHead):
            raise UserError(f'{type(head or self.model).__name__} does not localize; take a model '
                            'with a localizing head, such as CAMHead or DualCAMHead.')
        if frame_of(self.model) == 'input':
            raise UserError("this config's boxes refer to the network's input, possibly a crop "
                            "of the image; use a config whose localizer has frame='original', "
                            'which works with the same checkpoint.')
        check_frame(self.model, self.pipeline.transforms)
        if classes:
            check_class_count(self.model, classes, 'the given list')
            check_renaming(self.model._dataset_meta.get('classes') or (), classes)
        self.classes = classes or _find_classes(self.model, self.config)
        self.visualizer = LocalizationVisualizer(style=style)

    def __call__(self,
                 inputs: str | Path | np.ndarray | Sequence,
                 return_datasamples: bool = False,
                 batch_size: int = 1,
                 show_dir: str | Path | None = None,
                 skip_unreadable: bool = False) -> list[dict] | list[DataSample]:
        """Localize the objects in images.

        Args:
            inputs: A file, address, folder or glob, an array (BGR or grey, uint8, as mmcv loads
                images), or several of them.
            show_dir: Folder for one PNG per image, named by its index in the inputs and its file.
            skip_unreadable: Localize the other images where some cannot be read; each of these
                has ``left_out``, the reason, ``sample_idx`` and ``img_path`` as its result.

        Returns:
            list[dict]: For each image ``pred_label``, ``pred_class`` (if names are known),
            ``pred_score``, ``pred_scores`` (n, ), ``pred_box`` (x0, y0, x1, y1 in pixels of the
            image, ends exclusive), ``score_map`` (h, w) if there is one, ``sample_idx``, its
            index in the inputs, ``img_path`` (None for an array), ``ori_shape``, its height and
            width, and the lists ``top_labels``, ``top_scores`` and ``top_boxes`` of the
            highest-scoring classes.

        Raises:
            OSError: If an image cannot be read; the message names it.
        """
        listed = self._inputs_to_list(inputs)
        results: list = [None] * len(listed)
        unreadable: list[dict] | None = [] if skip_unreadable else None
        tracked = track(listed, 'Inference', len(listed))
        for image, sample in self.stream(tracked, batch_size, unreadable):
            if show_dir is not None:
                self.visualize(image, sample, show_dir)
            results[sample.sample_idx] = (
                sample if return_datasamples else self.postprocess(sample))
        for each in unreadable or ():
            results[each['sample_idx']] = (
                DataSample(metainfo=each) if return_datasamples else each)
        return results

    def stream(self,
               inputs: Iterable[str | Path | np.ndarray],
               batch_size: int = 1,
               unreadable: list[dict] | None = None) -> Iterator[tuple[np.ndarray, DataSample]]:
        """Localize the objects in images with at most one batch of them in memory.

        Images that cannot be read raise an ``OSError``, unless ``unreadable`` collects what
        :meth:`__call__` returns for them.

        Yields:
            tuple: The image as it is drawn, RGB, uint8, (H, W, 3), a large one reduced to four
            megapixels, and its DataSample on the CPU.
        """
        sources = (source if isinstance(source, np.ndarray) else Record(str(source))
                   for source in inputs)
        first = 0
        while chunk := [*islice(sources, batch_size)]:
            batch = prepare_batch(chunk, first, self.pipeline, self.max_pixels)
            first += len(chunk)
            if batch.left_out and unreadable is None:
                raise OSError(batch.left_out[0]['left_out'])
            if unreadable is not None:
                unreadable += batch.left_out
            for sample in self.predict(batch.data) if batch.data else ():
                yield batch.pictures.pop(sample.sample_idx), sample

    def predict(self, data: dict) -> list[DataSample]:
        """Localize the objects in a batch of :func:`prepare_batch`; the samples are on the CPU.

        Raises:
            UserError: If an input is not a whole image.
        """
        samples = self.forward(data)
        check_whole_images(self.model, [self.pipeline.transforms], samples, self.max_pixels)
        return [sample.cpu() for sample in samples]

    @torch.no_grad()
    def localize(self, data: dict) -> tuple[list[DataSample], Tensor, ClassMaps]:
        """What :meth:`WSOLHead.complete` needs to localize again with other settings.

        Of a batch of :func:`prepare_batch`: the samples, not completed yet, scores before the
        softmax (B, n), and the maps of all classes.
        """
        if hasattr(self.model, 'localize'):  # a TwoViewClassifier
            samples, *found = self.model.localize(data)
        else:
            data = self.model.data_preprocessor(data, False)
            samples = data['data_samples']
            found = self.model.head.localize(self.model.extract_feat(data['inputs']))
        check_whole_images(self.model, [self.pipeline.transforms], samples, self.max_pixels)
        return samples, *found

    def visualize(self, image: np.ndarray, sample: DataSample,
                  show_dir: str | Path) -> Path:
        """Write the picture of a prediction to a folder, see :class:`LocalizationVisualizer`."""
        name = sample_name(sample)
        file = Path(show_dir, f'{name}.png')
        self.visualizer.add_datasample(name, image, sample, self.classes, out_file=str(file))
        return file

    def postprocess(self, sample: DataSample) -> dict:
        """A prediction as a dict of plain values and arrays, see :meth:`__call__`."""
        if 'pred_label' not in sample:
            raise UserError(f'{type(self.model.head).__name__} gives boxes without classes; take '
                            "those of another model with model.type='SeparateClassifier'.")
        label = int(sample.pred_label)
        result = dict(
            sample_idx=sample.sample_idx,
            img_path=sample.get('img_path'),
            pred_label=label,
            pred_score=float(sample.pred_score[label]),
            pred_scores=sample.pred_score.numpy(),
            pred_box=sample.pred_box.tolist(),
            ori_shape=sample.ori_shape,
            top_labels=sample.top_labels.tolist(),
            top_scores=sample.pred_score[sample.top_labels].tolist(),
            top_boxes=sample.pred_boxes.tolist())
        if 'score_map' in sample:
            result['score_map'] = sample.score_map.numpy()
        if self.classes:
            result['pred_class'] = class_name(label, self.classes)
        return result

    def _inputs_to_list(self, inputs):
        inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return [each for given in inputs
                for each in ([given] if isinstance(given, np.ndarray) else find_images([given]))]

    def _init_pipeline(self, cfg: Config) -> Callable:
        pipeline = pipeline_config(_test_set_of(cfg))
        if self._squashes:
            pipeline = whole_image_pipeline(pipeline)
        with DefaultScope.overwrite_default_scope('mmpretrain'):  # for nested transforms
            transforms = [*map(TRANSFORMS.build, pipeline)]
        #: Of a decoded image, as in tools/test.py.
        self.max_pixels = max_pixels_of(transforms) or MAX_PIXELS
        return Compose([t for t in transforms if not isinstance(t, LoadImageFromFile)])


def _find_classes(model, config):
    """Names in the checkpoint, else of the data set; None if they are not this model's.

    A config that inherits a data set may have a head for other classes.
    """
    dataset = leaf_configs(_test_set_of(config))[0]
    own = dataset.get('classes')
    own = dict(classes=own) if isinstance(own, (list, tuple)) else dataset.get('metainfo') or {}
    known = {where: source for where, source in (
        ('the checkpoint', model._dataset_meta), ('the test set of the config', own))
        if len(source.get('classes') or ()) == model.head.num_classes}
    if len(known) > 1:
        check_same_classes(known)
    return next((source['classes'] for source in known.values()), None)


def _test_set_of(config):
    return (config.get('test_dataloader') or {}).get('dataset', {})
