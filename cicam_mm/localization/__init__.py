from cicam_lite import BOX_RULES, find_box, find_boxes, get_box_rule, to_original

from .class_maps import ClassMaps, DenseClassMaps, LinearClassMaps, SharedMap, activation_maps
from .fixed_box import FixedBoxLocalizer, best_box
from .localizer import CombinationalLocalizer, SweepingLocalizer, build_localizer
from .map_rules import (
    MAP_RULES,
    MapRule,
    RankWeights,
    build_map_rule,
    class_coefficients,
    rank_classes,
    rule_name,
)

__all__ = [
    'BOX_RULES', 'ClassMaps', 'CombinationalLocalizer', 'DenseClassMaps', 'FixedBoxLocalizer',
    'LinearClassMaps', 'MAP_RULES', 'MapRule', 'RankWeights', 'SharedMap', 'SweepingLocalizer',
    'activation_maps', 'best_box', 'build_localizer', 'build_map_rule', 'class_coefficients',
    'find_box', 'find_boxes', 'get_box_rule', 'rank_classes', 'rule_name', 'to_original'
]
