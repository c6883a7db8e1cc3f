from .confounded_shapes import ConfoundedShapes
from .cub import CUBLocalization
from .folder import FolderLocalization
from .hide_and_seek import HideAndSeek
from .ilsvrc import ILSVRCLocalization
from .load_image import LoadWSOLImage
from .masks import LoadWSOLMask
from .pseudo_boxes import LoadPseudoBoxes, RandomResizedCropWithBoxes
from .seeding import SeedPerSample
from .wsoleval import WSOLEvalLocalization

__all__ = [
    'CUBLocalization', 'ConfoundedShapes', 'FolderLocalization', 'HideAndSeek',
    'ILSVRCLocalization', 'LoadPseudoBoxes', 'LoadWSOLImage', 'LoadWSOLMask',
    'RandomResizedCropWithBoxes', 'SeedPerSample', 'WSOLEvalLocalization'
]
