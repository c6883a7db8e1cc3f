"""The ground-truth boxes of an image, and the rule for images without any.

Images of a class none of whose images has a box, such as "nothing", count for the classification
only: metrics of the localization leave them out. An image without a box whose class has boxes is
an error.
"""
import logging
from collections.abc import Iterable, Mapping

import numpy as np
from mmengine.logging import print_log

from cicam_mm.localization.overlap import as_boxes
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import image_name, read_field

NO_BOX = ('There is no ground-truth box, so the localization cannot be evaluated; give the image '
          'one, and end the test pipeline with LoadAnnotations(with_bbox=True) and '
          "PackInputs(algorithm_keys=('gt_bboxes', )).")


def truths_of(sample: Mapping) -> np.ndarray:
    """The ground-truth boxes of a data sample, (m, 4); m is 0 for a class without boxes."""
    if sample.get('gt_bboxes') is None:
        raise UserError(NO_BOX)
    return as_boxes(read_field(sample, 'gt_bboxes'))


def label_and_boxless_name(sample: Mapping, is_boxless: bool) -> tuple[int | None, str | None]:
    """The label of a data sample, or None, and the name of its image, or None if it has a box."""
    has_label = sample.get('gt_label') is not None
    label = int(read_field(sample, 'gt_label')[0]) if has_label else None
    return label, image_name(sample) if is_boxless else None


def check_boxless(images: Iterable[tuple[int | None, str | None]]) -> None:
    """Refuse images without a box unless their whole class has none.

    ``images`` holds what :func:`label_and_boxless_name` returns for each image.
    """
    images = [*images]
    boxed = {label for label, name in images if name is None}
    boxless = [(label, name) for label, name in images if name is not None]
    for label, name in boxless:
        if not boxed or label in boxed:
            raise UserError(f'{name}: {NO_BOX}')
    if boxless:
        print_log(f'Images of classes without boxes, such as {boxless[0][1]}, count for the '
                  'classification only.', 'current', logging.WARNING)
