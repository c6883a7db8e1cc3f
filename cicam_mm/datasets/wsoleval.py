"""Data sets in the format of the published metadata lists."""
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from .base import CheckedDataset
from .classes import UNNAMED
from .lists import (
    Row,
    check_box,
    check_keys,
    image_path,
    nonempty,
    number,
    read_rows,
    read_table,
    whole,
)


@DATASETS.register_module()
class WSOLEvalLocalization(CheckedDataset, BaseDataset):
    """A split given by the metadata lists of "Evaluating WSOL Methods Right" (CVPR 2020): CUB,
    CUBV2, ILSVRC, ImageNetV2 and OpenImages30k. ::

        list_root
        ├── image_ids.txt      # path
        ├── class_labels.txt   # path,label
        ├── image_sizes.txt    # path,width,height; for testing with boxes
        └── localization.txt   # path,x0,y0,x1,y1 or path,mask,ignored; for testing

    Labels count from 0. Boxes are x0, y0, x1, y1 in pixels of the stored image, as in the file:
    the published ones go from 0 to at most the width or height; IoU counts the pixels at both
    ends, so equal coordinates make one pixel. An image may have several boxes, or several masks;
    one of its lines names the file of the ignored region, and the field is empty on the others.

    image_ids.txt defines the images of the split. The other lists may include more, but must
    include all of these, except that localization.txt, which is read only with ``test_mode=True``,
    may leave out whole classes.

    Args:
        data_root (str): The folder that the paths of the images are relative to.
        list_root (str): The folder of the split's lists.
        mask_root (str, optional): The folder that the paths of the masks are relative to.
            Defaults to None: localization.txt lists boxes.
        classes (str | Sequence[str], optional): Names of the classes in the order of the labels,
            a file with one name per line, or 'imagenet' for its 1,000 classes. Defaults to None:
            the labels themselves, up to the largest, which fit any names of as many classes.

    Raises:
        UserError: If a line is malformed, a label has no class, a box has no area, or an image
            is listed twice, missing in a list or has two ignored files.
    """

    def __init__(self,
                 data_root: str,
                 list_root: str,
                 mask_root: str | None = None,
                 classes: str | Sequence[str] | None = None,
                 **kwargs):
        self.list_root = list_root
        self.mask_root = mask_root
        super().__init__(
            ann_file='', data_root=data_root,
            classes=IMAGENET_CATEGORIES if classes == 'imagenet' else classes, **kwargs)

    def load_data_list(self) -> list[dict]:
        images = self._read('image_ids.txt')
        labels = self._read('class_labels.txt', label=whole)
        check_keys(images, labels)
        highest = max((labels[path] for path in images), key=lambda row: row.values)
        label, = highest.values
        if 'classes' not in self._metainfo:
            self._metainfo |= {'classes': tuple(map(str, range(label + 1))), UNNAMED: True}
        count = len(self._metainfo['classes'])
        if label >= count:
            raise highest.error(f'label {label} has no class (labels of {count} classes go from 0 '
                                f'to {count - 1})')
        data_list = [
            dict(img_path=join_path(self.data_root, path), gt_label=labels[path].values[0],
                 orientation='stored') for path in images]
        if self.test_mode:
            read = self._read_boxes if self.mask_root is None else self._read_masks
            for info, localization in zip(data_list, read(images), strict=True):
                for instance in localization['instances']:
                    instance['bbox_label'] = info['gt_label']
                info.update(localization)
        return data_list

    def _read(self, name: str, /, **columns) -> dict[str, Row]:
        return read_table(join_path(self.list_root, name), dict(path=image_path, **columns), ',')

    def _read_boxes(self, images: dict[str, Row]) -> Iterator[dict]:
        sizes = self._read('image_sizes.txt', width=whole, height=whole)
        check_keys(images, sizes)
        boxes = self._read_localization(x0=number, y0=number, x1=number, y1=number)
        for path in images:
            width, height = sizes[path].values
            for row in boxes[path]:
                check_box(row, row.values[1:], inclusive=True)
            yield dict(width=width, height=height,
                       instances=[dict(bbox=[*row.values[1:]]) for row in boxes[path]])

    def _read_masks(self, images: dict[str, Row]) -> Iterator[dict]:
        masks = self._read_localization(mask=nonempty, ignored=str)
        for path in images:
            first, *more = [row for row in masks[path] if row.values[2]] or [None]
            if more:
                raise more[0].error(f"'{path}' already has an ignored file on line {first.line}")
            yield dict(
                ignore_path=join_path(self.mask_root, first.values[2]) if first else None,
                instances=[dict(mask_path=join_path(self.mask_root, row.values[1]))
                           for row in masks[path]])

    def _read_localization(self, **columns) -> dict[str, list[Row]]:
        rows = defaultdict(list)
        for row in read_rows(join_path(self.list_root, 'localization.txt'),
                             dict(path=image_path, **columns), ','):
            rows[row.values[0]].append(row)
        return rows
