from .cam_of_classifier import CAM_METHODS, localize_by
from .inferencer import WSOLInferencer
from .inputs import find_images
from .outputs import write_results
from .test_set import TestSet, best_iou, sample_images

__all__ = [
    'CAM_METHODS', 'TestSet', 'WSOLInferencer', 'best_iou', 'find_images', 'localize_by',
    'sample_images', 'write_results'
]
