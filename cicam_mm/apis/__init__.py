from cicam_mm.localization.overlap import best_iou

from .configs import read_config
from .inferencer import WSOLInferencer
from .inputs import find_images
from .outputs import write_results
from .test_set import TestSet, sample_images

__all__ = [
    'TestSet', 'WSOLInferencer', 'best_iou', 'find_images', 'read_config', 'sample_images',
    'write_results'
]
