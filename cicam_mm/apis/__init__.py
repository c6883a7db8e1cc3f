from .images import find_images, read_image
from .prediction_files import write_predictions
from .test_set import TestSet, best_iou, sample_images
from .wsol_inferencer import WSOLInferencer

__all__ = [
    'TestSet', 'WSOLInferencer', 'best_iou', 'find_images', 'read_image', 'sample_images',
    'write_predictions'
]
