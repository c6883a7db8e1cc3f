from collections.abc import Mapping, Sequence
from pathlib import Path

from cicam_mm.utils.errors import UserError

from .classes import SHARED, check_unique, read_class_names


class CheckedDataset:
    """Mixin for mmengine's ``BaseDataset`` that checks class names, boxes and ``indices``.

    Names are unique. With ``test_mode=True`` each image has a box or mask, except those of a class
    none of whose images has one. By itself, ``BaseDataset`` takes an int that is too large for all
    images.
    """

    def _compat_classes(self, metainfo: Mapping | None,
                        classes: str | Sequence[str] | None) -> dict:
        if isinstance(classes, str):
            classes = read_class_names(Path(classes).expanduser())
        return super()._compat_classes(metainfo, classes)

    def filter_data(self) -> list[dict]:
        name = type(self).__name__
        check_unique(self._metainfo.get('classes') or (), f'the data set {name}', SHARED)
        data_list = super().filter_data()
        if not data_list:
            raise UserError(f'{name} has no image; check its split, its lists and its classes.')
        if self.test_mode and 'instances' in data_list[0]:
            known = {info['gt_label'] for info in data_list if info['instances']}
            tested = data_list if self._indices is None else self._get_unserialized_subset(
                self._indices)
            bare = [info['img_path'] for info in tested
                    if not info['instances'] and (info['gt_label'] in known or not known)]
            if bare:
                raise UserError(
                    f'{len(bare)} of {len(tested)} test images of {name} have no box or mask in '
                    f"its lists, among them {', '.join(bare[:3])}; add one to each, or remove the "
                    'images.')
        return data_list

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> list[dict]:
        # an int asks for the first images, or for the last ones if negative
        size, name = len(self.data_list), type(self).__name__
        wanted = range(abs(indices)) if isinstance(indices, int) else indices
        if any(not -size <= index < size for index in wanted):
            raise UserError(f'indices={indices!s:.99} go beyond the {size} images of {name}, '
                            'counted from 0.')
        if not len(wanted):
            raise UserError(f'indices={indices} leave no image of {name}.')
        return super()._get_unserialized_subset(indices)
