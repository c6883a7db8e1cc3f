from .cam_of_classifier import CAM_METHODS, localize_by
from .images import find_images, read_image
from .prediction_files import write_predictions
from .test_set import TestSet, best_iou, sample_images
from .wsol_inferencer import WSOLInferencer

__all__ = [
    'CAM_METHODS', 'TestSet', 'WSOLInferencer', 'best_iou', 'find_images', 'localize_by',
    'read_image', 'sample_images', 'write_predictions'
]
