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
    sweep_boxes,
    to_original,
)
from .onnx_localizer import OnnxLocalizer

__all__ = [
    'BOX_RULES', 'BoxRule', 'OnnxLocalizer', 'find_box', 'find_boxes', 'get_box_rule',
    'sweep_boxes', 'to_original'
]
