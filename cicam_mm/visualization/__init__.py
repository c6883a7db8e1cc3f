from .comparison import Example, Localized, draw_comparison
from .overlay import STYLES, Style, draw_boxes, draw_overlay, draw_panel, get_style
from .pictures import PictureSource, sample_name
from .pool_sheet import draw_pool
from .visualizer import (
    LocalizationVisualizationHook,
    LocalizationVisualizer,
    class_name,
    draw_sample,
    reduce_to_draw,
)

__all__ = [
    'Example', 'Localized', 'LocalizationVisualizationHook', 'LocalizationVisualizer',
    'PictureSource', 'STYLES', 'Style', 'class_name', 'draw_boxes', 'draw_comparison',
    'draw_overlay', 'draw_panel', 'draw_pool', 'draw_sample', 'get_style', 'reduce_to_draw',
    'sample_name'
]
