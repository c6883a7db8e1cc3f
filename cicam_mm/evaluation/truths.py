"""The boxes that an image is judged by, and the rule for images without any.

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


def label_and_name(sample: Mapping) -> tuple[int | None, str]:
    """The label of a data sample, None if it has none, and the name of its image."""
    has_label = sample.get('gt_label') is not None
    return int(read_field(sample, 'gt_label')[0]) if has_label else None, image_name(sample)


def check_bare(images: Iterable[tuple[int | None, str | None]]) -> None:
    """Refuse images without a box unless their whole class has none.

    Args:
        images (Iterable): The label of each image and, if it has no box, its name.
    """
    images = [*images]
    boxed = {label for label, name in images if name is None}
    bare = [(label, name) for label, name in images if name is not None]
    for label, name in bare:
        if not boxed or label in boxed:
            raise UserError(f'{name}: {NO_BOX}')
    if bare:
        print_log(f'Images of classes without boxes, such as {bare[0][1]}, count for the '
                  'classification only.', 'current', logging.WARNING)
