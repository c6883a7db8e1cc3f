from .localization_errors import LocalizationErrors
from .max_box_acc import MaxBoxAcc
from .pxap import PxAP
from .wsol_metric import WSOLMetric

__all__ = ['LocalizationErrors', 'MaxBoxAcc', 'PxAP', 'WSOLMetric']
