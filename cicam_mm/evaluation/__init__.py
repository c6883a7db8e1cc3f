from .metrics import LocalizationErrors, MaxBoxAcc, PxAP, ThetaSweep, WSOLMetric
from .saved_predictions import SavePredictionsHook, read_predictions

__all__ = [
    'LocalizationErrors', 'MaxBoxAcc', 'PxAP', 'SavePredictionsHook', 'ThetaSweep', 'WSOLMetric',
    'read_predictions'
]
