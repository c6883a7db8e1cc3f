from .confounded_shapes import ConfoundedShapes
from .cub import CUBLocalization
from .folder import FolderLocalization
from .transforms import LoadWSOLImage, SeedPerSample

__all__ = [
    'ConfoundedShapes', 'CUBLocalization', 'FolderLocalization', 'LoadWSOLImage', 'SeedPerSample'
]
