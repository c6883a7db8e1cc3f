"""The frame of boxes: pixels of the original image, or pixels of the network's input."""
import re
from collections.abc import Iterable

import numpy as np
from mmpretrain.structures import DataSample
from torch import nn

from cicam_lite.decoding import least_reduction
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import image_name

from .load_image import max_pixels_of

#: Names of transforms that move pixels in other ways than resizing does.
_MOVING = 'Crop|Flip|Rotat|Affine|Perspective|Shear|Translat|Pad|Augment|Mosaic'


def frame_of(model: nn.Module) -> str | None:
    """The frame of the localizer's boxes, 'original' or 'input'; None without a localizer."""
    localizers = (getattr(module, 'localizer', None) for module in model.modules())
    return next((localizer.frame for localizer in localizers if localizer is not None), None)


def check_frame(model: nn.Module, *pipelines: Iterable) -> None:
    """Check that predictions and ground truth of test pipelines are in the same frame.

    Raises:
        UserError: If boxes refer to the original image but a pipeline does more than resize it,
            if the ground truth is in another frame than the boxes, or if there are masks, which
            always show the whole image, but a pipeline moves its pixels.
    """
    frame = frame_of(model)
    for steps in map(_steps, pipelines):
        moving = _first_moving(steps)
        if frame == 'original' and moving:
            raise UserError(
                f'boxes refer to the original image, but {moving} of the test pipeline moves its '
                f'pixels, so the boxes would be in the wrong place; remove {moving}, or set '
                "model.head.localizer.frame='input' and load the annotations before the resizing.")
        if moving and any('gt_mask' in getattr(step, 'algorithm_keys', ()) for step in steps):
            raise UserError(
                f'gt_mask shows the whole image, but {moving} of the test pipeline moves only its '
                f"pixels, so maps would be compared with other places; remove {moving}, or "
                "'gt_mask' from algorithm_keys of PackInputs.")
        loading = [i for i, step in enumerate(steps) if getattr(step, 'with_bbox', False)]
        changing = [i for i, step in enumerate(steps)
                    if re.search(f'Resize|{_MOVING}', type(step).__name__)]
        if frame and loading and changing:
            truth = 'input' if loading[-1] < changing[0] else 'original'
            if frame != truth:
                where = dict(original='after', input='before')[frame]
                raise UserError(
                    f'boxes are in pixels of the {frame} image, but ground truth in those of the '
                    f'{truth}; put LoadAnnotations {where} the resizing in the test pipeline.')


def check_whole_images(model: nn.Module,
                       pipelines: Iterable[Iterable],
                       samples: Iterable[DataSample],
                       max_pixels: int | None = None) -> None:
    """Check that the network saw the whole of each image, which finds crops of any name.

    Where exactly one transform resizes, its ``scale_factor`` times the size of the original image
    must be the size of the network's input.

    Args:
        pipelines (Iterable[Iterable]): The transforms of each pipeline that images may pass.
        max_pixels (int, optional): Limit of JPEGs, see :class:`LoadWSOLImage`. Defaults to None,
            that of the pipeline.
    """
    pipelines = [*map(_steps, pipelines)]
    if frame_of(model) != 'original' or any(
            sum('Resize' in type(step).__name__ for step in steps) != 1 for steps in pipelines):
        return
    limits = {max_pixels or max_pixels_of(steps) for steps in pipelines}
    for sample in samples:
        if sample.get('scale_factor') is not None and not any(
                _is_whole(sample, limit) for limit in limits):
            height, width = sample.img_shape
            raise UserError(
                f'{image_name(sample)}: boxes refer to the original image, but the input of '
                f'{width} x {height} pixels is not the whole image, only resized; take what crops '
                "or pads it out of the test pipeline, or set model.head.localizer.frame='input'.")


def _is_whole(sample, max_pixels):
    resized = np.multiply(sample.ori_shape, sample.scale_factor[::-1])
    height, width = sample.ori_shape
    reduced = max_pixels and least_reduction(width, height, max_pixels)
    return any(np.abs(resized / factor - sample.img_shape).max() <= 1
               for factor in {1, reduced or 1})  # other images than JPEGs have their full size


def _steps(pipeline):
    """The transforms, nested ones included; of several views the last, which localizes."""
    steps = []
    for step in pipeline:
        inner = step.subroutines[-1:] if hasattr(step, 'subroutines') else (  # TestTimeAug of mmcv
            getattr(step, 'transforms', None))
        steps += [step] if inner is None else _steps(inner)
    return steps


def _first_moving(steps):
    size = None
    for step in steps:
        name = type(step).__name__
        if name == 'Resize':
            size = getattr(step, 'scale', None)  # (width, height)
        elif re.search(_MOVING, name) and getattr(step, 'prob', 1) != 0:
            crop = getattr(step, 'crop_size', None)  # (height, width)
            if name != 'CenterCrop' or size is None or tuple(crop)[::-1] != tuple(size):
                return name
    return None
