"""Classes and boxes from an exported model, without torch."""
import json
import os
from collections.abc import Sequence

import cv2
import numpy as np

from .box_rules import find_boxes, get_box_rule
from .decoding import Picture, Unsupported, decode, upright

#: Metadata key under which an exported model describes how it localizes.
METADATA = 'cicam_mm'
#: Interpolations of a config, and what OpenCV calls them after ``INTER_``.
INTERPOLATIONS = dict(
    nearest='nearest', bilinear='linear', bicubic='cubic', area='area', lanczos='lanczos4')
#: Maximum size of an image's file, in bytes.
MAX_READ = 2**30


class ModelError(ValueError):
    """A model that cannot be used; the message says why in one sentence."""


class OnnxLocalizer:
    """Localizes with a model exported by ``tools/export_onnx.py``.

    Needs NumPy, OpenCV and onnxruntime. Preprocessing is that of the config's test pipeline, and
    boxes follow the config's box rule and theta.

    Args:
        providers (Sequence[str], optional): Of onnxruntime, in order of preference; None for all.

    Attributes:
        classes: Names of the classes; None if the model does not hold them.

    Raises:
        OSError: If the file cannot be read.
        ModelError: If it is damaged, or ``tools/export_onnx.py`` did not write it.

    Examples:
        >>> localizer = OnnxLocalizer('cicam.onnx')
        >>> localizer(['duck.jpg'])[0]['pred_box']
        [31, 8, 77, 60]
    """

    def __init__(self, path: str | os.PathLike, providers: Sequence[str] | None = None):
        import onnxruntime

        _check_regular(path)
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), providers=providers or onnxruntime.get_available_providers())
        except Exception as error:  # those of onnxruntime have no class in common
            raise ModelError(f'{path} cannot be loaded: {error}') from error
        self.path = path
        text = self.session.get_modelmeta().custom_metadata_map.get(METADATA)
        if text is None:
            raise ModelError(f'{path} says nothing about localization; use a model that '
                             'tools/export_onnx.py has written.')
        try:
            about = json.loads(text)
            self.size = tuple(self.session.get_inputs()[0].shape[1:3])
            self.classes, self.theta = about['classes'], about['theta']
            self.interpolation = getattr(cv2, f'INTER_{about["interpolation"].upper()}')
            self._prepare(np.zeros((1, 1, 3), np.uint8))  # OpenCV checks size and interpolation
            self.rule = get_box_rule(about['box_rule'])
            if not 0 <= self.theta < 1:
                raise ValueError(f'theta is {self.theta}')
            find_boxes(np.eye(2)[None], self.rule, self.theta, (2, 2))  # options can be anything
        except Exception as error:
            raise ModelError(f'{path} is damaged: its metadata do not say how it localizes '
                             f'({error!r:.100}); export it again.') from error

    def __call__(self, images: Sequence[str | os.PathLike | np.ndarray]) -> list[dict]:
        """Localize the objects in a batch of images.

        Args:
            images (Sequence[str | PathLike | np.ndarray]): Files (JPEG, PNG, WebP, BMP and most
                TIFFs, see :func:`cicam_lite.decoding.decode`), or arrays as OpenCV reads them
                (BGR, uint8, (H, W, 3)).

        Returns:
            list[dict]: For each image ``pred_label``, ``pred_score``, ``pred_class`` (None if the
            names are unknown), ``pred_box`` (x0, y0, x1, y1 in pixels of the image),
            ``pred_scores`` (n, ), ``score_map`` (h, w), and ``top_labels``, ``top_scores`` and
            ``top_boxes`` of the highest-scoring classes.

        Raises:
            OSError: If a file cannot be read as an image.
            ModelError: If the model fails, or its outputs are not a localization.
        """
        pictures = [Picture(image, image.shape[:2]) if isinstance(image, np.ndarray) else
                    _read(image) for image in images]
        batch = np.stack([self._prepare(picture.pixels) for picture in pictures])
        try:
            outputs = self.session.run(['scores', 'top_labels', 'score_maps'], {'images': batch})
        except Exception as error:
            raise ModelError(f'{self.path} cannot be run: {error}') from error
        shape = len(batch), len(self.classes) if self.classes else outputs[0].shape[-1]
        if outputs[0].shape != shape or not np.isfinite(outputs[0]).all():
            raise ModelError(f'{self.path} is damaged: it gives scores that are not one finite '
                             'number for each image and class; export it again.')
        return [self._result(picture.shape, *of_picture)
                for picture, *of_picture in zip(pictures, *outputs, strict=True)]

    def _prepare(self, image):
        return cv2.resize(image, self.size[::-1], interpolation=self.interpolation)

    def _result(self, shape, scores, top_labels, maps):
        boxes = find_boxes(maps, self.rule, self.theta, self.size, shape)
        boxes = np.broadcast_to(boxes, (len(top_labels), 4)).tolist()  # all classes may share one
        label = int(top_labels[0])
        return dict(
            pred_label=label,
            pred_score=float(scores[label]),
            pred_class=self.classes and self.classes[label],
            pred_box=boxes[0],
            pred_scores=scores,
            score_map=maps[0],
            top_labels=top_labels.tolist(),
            top_scores=scores[top_labels].tolist(),
            top_boxes=boxes)


def _check_regular(path):
    """Pipes and devices could be read forever."""
    if not os.path.isfile(path):
        raise OSError(f'{path} does not exist or is not a regular file')


def _read(path):
    """Pixels and shape of an upright image, exactly as the model's own tools decode it."""
    _check_regular(path)
    try:
        if os.path.getsize(path) > MAX_READ:
            raise OSError(f'it has more than {MAX_READ:,} bytes')
        with open(path, 'rb') as file:
            return upright(decode(file.read()))
    except Unsupported as error:
        raise OSError(f'{path} cannot be read: {error}; save it as PNG or JPEG.') from None
    except Exception as error:  # decoders can raise anything
        raise OSError(f'{path} cannot be read as an image: {error}') from None
