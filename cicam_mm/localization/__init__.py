from .box_rules import BOX_RULES, find_box, find_boxes, get_box_rule, to_original
from .combination import MAP_RULES, activation_maps, combine_weights, rank_weights
from .localizer import CombinationalLocalizer
from .resizing import upsample
from .sweeping_localizer import SweepingLocalizer

__all__ = [
    'BOX_RULES', 'MAP_RULES', 'CombinationalLocalizer', 'SweepingLocalizer', 'activation_maps',
    'combine_weights', 'find_box', 'find_boxes', 'get_box_rule', 'rank_weights', 'to_original',
    'upsample'
]
