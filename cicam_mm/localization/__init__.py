from cicam_lite import BOX_RULES, find_box, get_box_rule, to_original

from .boxes import find_boxes, upsample
from .class_maps import ClassMaps, DenseClassMaps, LinearClassMaps, activation_maps
from .localizer import CombinationalLocalizer, SweepingLocalizer
from .map_rules import MAP_RULES, class_coefficients, rank_weights

__all__ = [
    'BOX_RULES', 'ClassMaps', 'CombinationalLocalizer', 'DenseClassMaps', 'LinearClassMaps',
    'MAP_RULES', 'SweepingLocalizer', 'activation_maps', 'class_coefficients', 'find_box',
    'find_boxes', 'get_box_rule', 'rank_weights', 'to_original', 'upsample'
]
