from .localization_errors import LocalizationErrors
from .mask_iou import MaskIoU
from .max_box_acc import MaxBoxAcc
from .pxap import PxAP
from .saved_predictions import SavePredictionsHook, read_predictions
from .theta_sweep import ThetaSweep
from .wsol_metric import WSOLMetric

__all__ = [
    'LocalizationErrors', 'MaskIoU', 'MaxBoxAcc', 'PxAP', 'SavePredictionsHook',
    'ThetaSweep', 'WSOLMetric', 'read_predictions'
]
