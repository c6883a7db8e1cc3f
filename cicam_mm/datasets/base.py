import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.logging import print_log

from cicam_mm.utils.errors import UserError

from .classes import SHARED, check_same_classes, check_unique, read_class_names


class CheckedDataset:
    """Mixin for mmengine's ``BaseDataset`` that checks class names, boxes and ``indices``.

    Names are unique. With ``test_mode=True`` each image has a box or mask, except those of a class
    none of whose images has one. By itself, ``BaseDataset`` treats an int that is too large as all
    images, and raises errors that do not name the data set for lists that are out of range or
    empty.
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
        data_list = super().filter_data()
        if self.test_mode and any('instances' in info for info in data_list):
            self._check_objects(data_list)
        return data_list

    def _check_objects(self, data_list):
        tested = data_list if self._indices is None else self._get_unserialized_subset(
            self._indices)
        known = {info['gt_label'] for info in data_list if info['instances']}
        bare = [info for info in tested if not info['instances']]
        if wrong := [info['img_path'] for info in bare if not known or info['gt_label'] in known]:
            raise UserError(
                f'{len(wrong)} of {len(tested)} test images of {type(self).__name__} have no box '
                f"or mask in its lists, among them {', '.join(wrong[:3])}; add one to each, or "
                'remove the images.')
        if bare:
            names = sorted({self._metainfo['classes'][info['gt_label']] for info in bare})
            print_log(f'{len(bare)} images of the classes without boxes ({", ".join(names[:5])}) '
                      'count for the classification only.', 'current', logging.WARNING)

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
