"""Data sets in the format of the published metadata lists."""
from collections import defaultdict
from collections.abc import Sequence

from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from .base import CheckedDataset
from .classes import UNNAMED
from .lists import (
    Row,
    check_box,
    check_images,
    check_keys,
    line_error,
    nonempty,
    number,
    read_rows,
    read_table,
    whole,
)


# the second name is deprecated and will be removed after one release
@DATASETS.register_module(['WSOLEvalLocalization', 'ListLocalization'])
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

    image_ids.txt defines the images of the split. The other lists must include all of them, but
    for localization.txt, which may leave out whole classes. They may include more, so to shorten a
    split, shorten image_ids.txt.

    Args:
        data_root (str): The folder that the paths of the images are relative to.
        list_root (str): The folder of the split's lists.
        mask_root (str, optional): The folder that the paths of the masks are relative to.
            Defaults to None: localization.txt lists boxes.
        classes (str | Sequence[str], optional): Names of the classes in the order of the labels,
            a file with one name per line, or 'imagenet' for its 1,000 classes. Defaults to None:
            the labels themselves, up to the largest, which fit any names of as many classes.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``. The localization is read only
            with ``test_mode=True``.

    Raises:
        FileNotFoundError: If a list is missing.
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
        """Read the lists and join them."""
        images = read_table(self._path('image_ids.txt'), dict(path=nonempty), sep=',')
        check_images(self._path('image_ids.txt'), {row.line: p for p, row in images.items()})
        labels = self._read(images, 'class_labels.txt', label=whole)
        self._check_labels([labels[path] for path in images])
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

    def _path(self, name: str) -> str:
        return join_path(self.list_root, name)

    def _read(self, images: dict[str, Row], file: str, /, **columns) -> dict[str, Row]:
        table = read_table(self._path(file), dict(path=str, **columns), sep=',')
        check_keys(self._path('image_ids.txt'), images, self._path(file), table)
        return table

    def _check_labels(self, rows: list[Row]) -> None:
        line, (highest, ) = max(rows, key=lambda row: row.values)
        if 'classes' not in self._metainfo:
            self._metainfo |= {'classes': tuple(map(str, range(highest + 1))), UNNAMED: True}
        classes = self._metainfo['classes']
        if highest >= len(classes):
            raise line_error(
                self._path('class_labels.txt'), line,
                f'label {highest} has no class (labels of {len(classes)} classes go from 0 to '
                f'{len(classes) - 1})')

    def _read_boxes(self, images: dict[str, Row]) -> list[dict]:
        sizes = self._read(images, 'image_sizes.txt', width=whole, height=whole)
        rows = self._read_localization(images, x0=number, y0=number, x1=number, y1=number)
        for path_rows in rows.values():
            for line, box in path_rows:
                check_box(self._path('localization.txt'), line, box, inclusive=True)
        return [dict(zip(('width', 'height'), sizes[path].values, strict=True),
                     instances=[dict(bbox=list(box)) for _, box in rows[path]])
                for path in images]

    def _read_masks(self, images: dict[str, Row]) -> list[dict]:
        rows = self._read_localization(images, mask=nonempty, ignored=str)
        return [dict(ignore_path=self._ignore_path(path, rows[path]),
                     instances=[dict(mask_path=join_path(self.mask_root, mask))
                                for _, (mask, _) in rows[path]])
                for path in images]

    def _ignore_path(self, path: str, rows: list[Row]) -> str | None:
        ignored = [(line, file) for line, (_, file) in rows if file]
        if len(ignored) > 1:
            raise line_error(self._path('localization.txt'), ignored[1][0],
                             f"'{path}' already has an ignored file on line {ignored[0][0]}")
        return join_path(self.mask_root, ignored[0][1]) if ignored else None

    def _read_localization(self, images: dict[str, Row], **columns) -> dict[str, list[Row]]:
        file, rows = self._path('localization.txt'), defaultdict(list)
        for line, (path, *values) in read_rows(file, dict(path=str, **columns), sep=','):
            rows[path].append(Row(line, tuple(values)))
        return rows
