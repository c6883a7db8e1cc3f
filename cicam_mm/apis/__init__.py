from .images import find_images, read_image
from .prediction_files import write_predictions
from .test_set import TestSet, best_iou, images_of_test_set
from .wsol_inferencer import WSOLInferencer

__all__ = [
    'TestSet', 'WSOLInferencer', 'best_iou', 'find_images', 'images_of_test_set', 'read_image',
    'write_predictions'
]
