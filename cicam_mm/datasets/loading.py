"""Loading of images with boxes, and reproducible augmentation."""
from collections.abc import Iterable
from contextlib import contextmanager

from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import get
from mmpretrain.registry import TRANSFORMS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import check_if_local

from .images import MAX_PIXELS, decode_reduced, open_image


@contextmanager
def naming_the_file(kind: str, path: str):
    """Make errors in reading an image file name it; ``kind`` is its content, capitalized."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{kind} '{path}' does not exist; restore it, or remove it "
                                'from the annotation lists.') from None
    except UserError as error:
        raise UserError(f"{kind} '{path}' is refused: {error}") from error
    except Exception as error:
        raise OSError(
            f"{kind} '{path}' cannot be read (no permission, or empty, truncated or not an "
            'image); restore it, or remove it from the annotation lists.') from error


@TRANSFORMS.register_module()
class LoadWSOLImage(LoadImageFromFile):
    """Loads an image and checks that its boxes are inside it.

    Boxes may extend past the border by one pixel, because some lists round up
    or count from 1.

    Required keys: ``img_path``; optional keys: ``instances``, and ``width`` and
    ``height`` if a list has the size. Added keys: ``img`` (H, W, 3) uint8, BGR;
    ``img_shape`` and ``ori_shape`` (H, W).

    Args:
        color_type (str): See mmcv's ``LoadImageFromFile``. Defaults to
            'color_ignore_orientation', because WSOL boxes refer to the stored
            pixels; 'color' would rotate an image by its EXIF tag, but not its
            boxes.
        max_pixels (int): Maximum number of pixels of a decoded image. A larger JPEG is
            decoded at 1/2, 1/4 or 1/8 of its size, with boxes still in pixels of the
            full size; a larger image of another format is refused. Defaults to
            89,478,485, as in Pillow.
        **kwargs: Other arguments of ``LoadImageFromFile``.

    Raises:
        OSError: If the image cannot be read.
        ValueError: If a box is outside the image, or the image does not have its
            listed size.
    """

    def __init__(self,
                 color_type: str = 'color_ignore_orientation',
                 max_pixels: int = MAX_PIXELS,
                 **kwargs):
        super().__init__(color_type=color_type, **kwargs)
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict | None:
        with naming_the_file('Image', results['img_path']):
            results = self._load(results)
        if results is not None:  # None with the option ignore_empty
            self._check_size(results)
            self._check_boxes(results)
        return results

    def _load(self, results: dict) -> dict | None:
        path = results['img_path']
        if check_if_local(path):
            with open_image(path) as header:
                width, height = header.size
            if width * height <= self.max_pixels:
                return super().transform(results)
        content = get(path, backend_args=self.backend_args)
        img, ori_shape = decode_reduced(content, self.max_pixels)
        return dict(results, img=img, img_shape=img.shape[:2], ori_shape=ori_shape)

    @staticmethod
    def _check_size(results: dict) -> None:
        height, width = results['ori_shape']
        listed = results.get('width', width), results.get('height', height)
        if listed != (width, height):
            raise UserError(
                f"Image '{results['img_path']}' has {width} x {height} pixels (width x height), "
                f'but {listed[0]} x {listed[1]} in its list, to which its boxes refer; restore '
                'the original image, or correct sizes and boxes in the lists.')

    @staticmethod
    def _check_boxes(results: dict) -> None:
        height, width = results['ori_shape']
        for instance in results.get('instances', ()):
            if 'bbox' not in instance:  # a mask only
                continue
            x0, y0, x1, y1 = instance['bbox']
            if min(x0, y0) < -1 or x1 > width + 1 or y1 > height + 1:
                raise UserError(
                    f"Box {[x0, y0, x1, y1]} (x0, y0, x1, y1) of image '{results['img_path']}' "
                    f'extends outside the image of {width} x {height} pixels (width x height); '
                    'correct the box, or restore the original image.')


def max_pixels_of(pipeline: Iterable) -> int | None:
    """``max_pixels`` of the :class:`LoadWSOLImage` among some transforms; None without one."""
    return next((step.max_pixels for step in pipeline if isinstance(step, LoadWSOLImage)), None)
