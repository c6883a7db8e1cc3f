"""Localization without torch or the mm libraries.

Turns score maps into boxes by the rules of the published methods, and runs exported models. Needs
NumPy and OpenCV, and onnxruntime for the models.
"""

from .box_rules import (
    BOX_RULES,
    BoxRule,
    find_box,
    find_boxes,
    get_box_rule,
    resize_maps,
    sweep_boxes,
    to_original,
)
from .instances import Instance, find_instances, refine_by_grabcut, resize_mask
from .onnx_localizer import OnnxLocalizer

__all__ = [
    'BOX_RULES', 'BoxRule', 'Instance', 'OnnxLocalizer', 'find_box', 'find_boxes',
    'find_instances', 'get_box_rule', 'refine_by_grabcut', 'resize_maps', 'resize_mask',
    'sweep_boxes', 'to_original'
]
