"""Loading of images with boxes."""
from collections.abc import Iterable
from typing import Literal

from mmcv.transforms import LoadImageFromFile
from mmpretrain.registry import TRANSFORMS

from cicam_mm.utils.errors import UserError, check_choices
from cicam_mm.utils.io import read_bytes

from .images import MAX_PIXELS, decode_stored, naming_the_file, upright


@TRANSFORMS.register_module()
class LoadWSOLImage(LoadImageFromFile):
    """Loads an image, see :func:`decode_stored`, and checks that its boxes are inside it.

    Required keys: ``img_path``; optional keys: ``instances``; ``width`` and ``height`` if a list
    has the size; ``orientation`` if the data set knows to which pixels its boxes refer. Added
    keys: ``img`` (H, W, 3) uint8, BGR; ``img_shape`` and ``ori_shape`` (H, W).

    Args:
        orientation (str, optional): Whether pixels stay as 'stored', or are turned 'upright' by
            the EXIF tag, as inference does. Defaults to None: 'stored' for published lists,
            which mean it so; 'upright' for a photo without boxes or listed size; otherwise
            'stored', and a photo with such a tag that this does not fit, or whose boxes fit the
            upright picture as well, is refused.
        max_pixels (int): Most pixels of a decoded image. A larger JPEG is decoded at 1/2, 1/4 or
            1/8 of its size, with boxes still in pixels of the full size; a larger image of
            another format is refused. Defaults to 89,478,485, as in Pillow.
        backend_args (dict, optional): Of mmengine's file backend.

    Raises:
        OSError: If the image cannot be read or is too large.
        UserError: If more than a fifth of a box is outside the image (published boxes cross the
            border, in CUB by up to 7 % of their area), the image does not have its listed size,
            or it is unknown to which pixels its boxes refer.
    """

    def __init__(self,
                 orientation: Literal['stored', 'upright', None] = None,
                 max_pixels: int = MAX_PIXELS,
                 backend_args: dict | None = None):
        check_choices(LoadWSOLImage, orientation=orientation)
        super().__init__(backend_args=backend_args)
        self.orientation = orientation
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        with naming_the_file(path):
            stored = decode_stored(
                read_bytes(path, backend_args=self.backend_args), self.max_pixels)
        turned = upright(stored)
        chosen = self.orientation or results.get('orientation')
        if chosen is None and not results.get('instances') and 'width' not in results:
            chosen = 'upright'
        picture = turned if chosen == 'upright' else stored
        problem = _misfit(results, picture.shape)
        if stored.orientation > 1 and self.orientation is None and not _misfit(
                results, turned.shape):
            if chosen is None and any('bbox' in each for each in results.get('instances', ())):
                problem = problem or f"The boxes of '{path}' fit it both as stored and upright."
            if problem:
                problem += (f' Its EXIF orientation is {stored.orientation}: set '
                            "orientation='upright' of LoadWSOLImage in all pipelines if boxes "
                            "were drawn on upright pictures, otherwise 'stored'.")
        if problem:
            raise UserError(problem)
        return dict(results, img=picture.pixels, img_shape=picture.pixels.shape[:2],
                    ori_shape=picture.shape)


def _misfit(results, shape):
    """Why an image of this shape does not fit its size and boxes, or None."""
    height, width = shape
    listed = results.get('width', width), results.get('height', height)
    if listed != (width, height):
        return (f"Image '{results['img_path']}' has {width} x {height} pixels (width x height), "
                f'but {listed[0]} x {listed[1]} in its list, to which its boxes refer; restore '
                'the original image, or correct sizes and boxes in the lists.')
    for instance in results.get('instances', ()):
        x0, y0, x1, y1 = instance.get('bbox', (0, 0, width, height))  # it may have a mask only
        inside = min(x1, width) - max(x0, 0), min(y1, height) - max(y0, 0)
        if min(inside) <= 0 or inside[0] * inside[1] < 0.8 * (x1 - x0) * (y1 - y0):
            return (f"Box {[x0, y0, x1, y1]} (x0, y0, x1, y1) of image '{results['img_path']}' "
                    f'is for more than a fifth outside the image of {width} x {height} pixels '
                    '(width x height); correct the box, or restore the original image.')
    return None


def max_pixels_of(pipeline: Iterable) -> int | None:
    """``max_pixels`` of the :class:`LoadWSOLImage` among some transforms; None without one."""
    return next((step.max_pixels for step in pipeline if isinstance(step, LoadWSOLImage)), None)
