"""Classes and boxes from an exported model, without torch."""
import json
from collections.abc import Sequence
from os import PathLike

import cv2
import numpy as np

from .box_rules import find_boxes, get_box_rule
from .images import Picture, Unsupported, decode, upright

#: Metadata key under which an exported model describes how it localizes.
METADATA = 'cicam_mm'


class OnnxLocalizer:
    """Localizes with a model exported by ``tools/export_onnx.py``.

    Needs NumPy, OpenCV and onnxruntime. Preprocessing is that of the config's test pipeline, and
    boxes follow the config's box rule and theta.

    Args:
        path (str | PathLike): The .onnx file.
        providers (Sequence[str], optional): Execution providers of onnxruntime, in order of
            preference. Defaults to None, all available ones.

    Attributes:
        classes: Names of the classes; None if the model does not hold them.

    Raises:
        ValueError: If ``tools/export_onnx.py`` did not write the file.

    Examples:
        >>> localizer = OnnxLocalizer('cicam.onnx')
        >>> localizer(['duck.jpg'])[0]['pred_box']
        [31, 8, 77, 60]
    """

    def __init__(self, path: str | PathLike, providers: Sequence[str] | None = None):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(
            str(path), providers=providers or onnxruntime.get_available_providers())
        about = self.session.get_modelmeta().custom_metadata_map.get(METADATA)
        if about is None:
            raise ValueError(f'{path} says nothing about localization; use a model that '
                             'tools/export_onnx.py has written.')
        about = json.loads(about)
        self.classes = about['classes']
        self.size = tuple(about['size'])
        self.interpolation = getattr(cv2, f'INTER_{about["interpolation"].upper()}')
        self.rule = get_box_rule(about['box_rule'])
        self.theta = about['theta']

    def __call__(self, images: Sequence[str | PathLike | np.ndarray]) -> list[dict]:
        """Localize the objects in a batch of images.

        Args:
            images (Sequence[str | PathLike | np.ndarray]): Files (JPEG, PNG, WebP, BMP and most
                TIFFs, see :func:`cicam_lite.images.decode`), or arrays as OpenCV reads them (BGR,
                uint8, (H, W, 3)).

        Returns:
            list[dict]: For each image ``pred_label``, ``pred_score``, ``pred_class`` (None if the
            names are unknown), ``pred_box`` (x0, y0, x1, y1 in pixels of the image),
            ``pred_scores`` (n, ), ``score_map`` (h, w), and ``top_labels``, ``top_scores`` and
            ``top_boxes`` of the highest-scoring classes.

        Raises:
            OSError: If a file cannot be read as an image.
        """
        pictures = [Picture(image, image.shape[:2]) if isinstance(image, np.ndarray) else
                    _read(image) for image in images]
        batch = np.stack([self._prepare(picture.pixels) for picture in pictures])
        outputs = self.session.run(['scores', 'top_labels', 'score_maps'], {'images': batch})
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


def _read(path):
    """Pixels and shape of an upright image, exactly as the model's own tools decode it."""
    try:
        with open(path, 'rb') as file:
            return upright(decode(file.read()))
    except Unsupported as error:
        raise OSError(f'{path} cannot be read: {error}; save it as PNG or JPEG.') from None
    except (OSError, ValueError) as error:
        raise OSError(f'{path} does not exist or cannot be read as an image: {error}') from None
