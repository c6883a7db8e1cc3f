from .figure import Result, Row, draw_comparison
from .hook import LocalizationVisualizationHook
from .overlay import STYLES, Style, draw_boxes, draw_overlay, draw_panel, get_style
from .visualizer import LocalizationVisualizer, draw_sample

__all__ = [
    'STYLES', 'LocalizationVisualizationHook', 'LocalizationVisualizer', 'Result', 'Row', 'Style',
    'draw_boxes', 'draw_comparison', 'draw_overlay', 'draw_panel', 'draw_sample', 'get_style'
]
