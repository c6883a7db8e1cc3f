"""What needs neither torch nor the mm libraries: NumPy and OpenCV, and for models onnxruntime.

Score maps to boxes, by the rules of the published methods, and the localizer of exported models.
"""

from .box_rules import (
    BOX_RULES,
    BoxRule,
    box_rule_name,
    find_box,
    find_boxes,
    get_box_rule,
    sweep_boxes,
    to_original,
)
from .onnx_localizer import OnnxLocalizer

__all__ = [
    'BOX_RULES', 'BoxRule', 'OnnxLocalizer', 'box_rule_name', 'find_box', 'find_boxes',
    'get_box_rule', 'sweep_boxes', 'to_original'
]
