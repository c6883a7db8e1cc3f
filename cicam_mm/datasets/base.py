from collections.abc import Mapping, Sequence
from pathlib import Path

from cicam_mm.utils.errors import UserError

from .classes import SHARED, check_same_classes, check_unique, read_class_names


class CheckedDataset:
    """Mixin for ``BaseDataset`` that refuses wrong class names and ``indices``.

    By itself, ``BaseDataset`` treats an int that is too large as all images, and raises errors
    that do not name the data set for lists that are out of range or empty.
    """

    def _compat_classes(self, metainfo: Mapping | None,
                        classes: str | Sequence[str] | None) -> dict:
        if isinstance(classes, str):
            classes = read_class_names(Path(classes).expanduser())
        if classes is not None and (metainfo or {}).get('classes'):
            check_same_classes({'the option classes': dict(classes=classes),
                                'the option metainfo': metainfo})
        return super()._compat_classes(metainfo, classes)

    def filter_data(self) -> list[dict]:
        check_unique(self._metainfo.get('classes') or (), f'the data set {type(self).__name__}',
                     SHARED)
        return super().filter_data()

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> list[dict]:
        size = len(self.data_list)
        if isinstance(indices, int):  # the first ones, or the last ones if negative
            if abs(indices) > size:
                raise UserError(f'indices={indices} asks for {abs(indices)} images of '
                                f'{type(self).__name__}, which has {size}.')
        elif beyond := [index for index in indices if not -size <= index < size]:
            raise UserError(f'indices include {beyond[0]} ({len(beyond)} out of range in all), '
                            f'but {type(self).__name__} has {size} images, counted from 0.')
        if not (chosen := super()._get_unserialized_subset(indices)):
            raise UserError(f'indices={indices} leave no image of {type(self).__name__}.')
        return chosen
