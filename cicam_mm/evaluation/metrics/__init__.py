from .localization_errors import LocalizationErrors
from .max_box_acc import MaxBoxAcc
from .pxap import PxAP
from .theta_sweep import ThetaSweep
from .wsol_metric import WSOLMetric

__all__ = ['LocalizationErrors', 'MaxBoxAcc', 'PxAP', 'ThetaSweep', 'WSOLMetric']
