from cicam_lite import BOX_RULES, find_box, get_box_rule, to_original

from .boxes import find_boxes
from .class_maps import ClassMaps, DenseClassMaps, LinearClassMaps, activation_maps
from .combination import MAP_RULES, class_coefficients, rank_weights
from .fixed_box import FixedBoxLocalizer, best_box
from .localizer import CombinationalLocalizer
from .resizing import upsample
from .sweeping_localizer import SweepingLocalizer

__all__ = [
    'BOX_RULES', 'MAP_RULES', 'ClassMaps', 'CombinationalLocalizer', 'DenseClassMaps',
    'FixedBoxLocalizer', 'LinearClassMaps', 'SweepingLocalizer', 'activation_maps', 'best_box',
    'class_coefficients', 'find_box', 'find_boxes', 'get_box_rule', 'rank_weights', 'to_original',
    'upsample'
]
