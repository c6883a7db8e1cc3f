from .confounded_shapes import ConfoundedShapes
from .cub import CUBLocalization
from .folder import FolderLocalization
from .hide_and_seek import HideAndSeek
from .ilsvrc import ILSVRCLocalization
from .masks import LoadWSOLMask
from .metadata_lists import WSOLEvalLocalization
from .pseudo_boxes import LoadPseudoBoxes, RandomResizedCropWithBoxes
from .transforms import LoadWSOLImage, SeedPerSample

__all__ = [
    'CUBLocalization', 'ConfoundedShapes', 'FolderLocalization', 'HideAndSeek',
    'ILSVRCLocalization', 'LoadPseudoBoxes', 'LoadWSOLImage', 'LoadWSOLMask',
    'RandomResizedCropWithBoxes', 'SeedPerSample', 'WSOLEvalLocalization'
]
