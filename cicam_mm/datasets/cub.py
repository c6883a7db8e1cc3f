"""CUB-200-2011 with boxes and masks."""
from posixpath import splitext
from typing import Literal

from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import check_choices

from .base import CheckedDataset
from .classes import number_classes
from .lists import Row, check_box, check_keys, image_path, number, read_table, whole


@DATASETS.register_module()
class CUBLocalization(CheckedDataset, BaseDataset):
    """`CUB-200-2011 <http://www.vision.caltech.edu/datasets/cub_200_2011/>`_
    (Wah et al., 2011) with its bounding boxes, in the official layout: ::

        CUB_200_2011
        ├── images/                  # one folder per class
        ├── segmentations/           # the same folders, with masks as PNG; for PxAP only
        ├── images.txt               # id path
        ├── classes.txt              # class name
        ├── image_class_labels.txt   # id class
        ├── train_test_split.txt     # id 1 (training) or 0 (test)
        └── bounding_boxes.txt       # id x y width height; for testing

    The label is the position of the class's name in ``classes``, by default in classes.txt, so
    lists reduced to some classes need no further settings. Boxes are ``(x0, y0, x1, y1)`` in
    pixels of the stored image with exclusive ends; they are read only with ``test_mode=True``,
    and a class may have none at all. Masks, which are published in a separate archive, are read by
    :class:`LoadWSOLMask`; their grey values are shares of five annotators.

    Args:
        classes (str | Sequence[str], optional): Names of the classes to use, as in classes.txt,
            or a file with one name per line; images of other classes are left out. Defaults to
            None, all classes.

    Raises:
        UserError: If a list is cut off or malformed, names an image or a class twice, or lists
            disagree; if a class has no name, a box no area, or no image is left.
    """

    def __init__(self, data_root: str, split: Literal['train', 'test'] = 'train', **kwargs):
        check_choices(CUBLocalization, split=split)
        self.split = split
        super().__init__(
            ann_file='images.txt', data_root=data_root, data_prefix='images', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read and check the lists of all images; keep those of the split."""
        images = self._read('images.txt', path=image_path)
        labels = self._read('image_class_labels.txt', class_id=whole)
        splits = self._read('train_test_split.txt', is_training=('0', '1').index)
        boxes = self._read('bounding_boxes.txt', x=number, y=number, width=number, height=number
                           ) if self.test_mode else {}
        for table in labels, splits:
            check_keys(images, table)
            check_keys(table, images)
        names = {key: row.values[0] for key, row in self._read('classes.txt', name=str).items()}
        numbered = number_classes(names, self._metainfo.get('classes'), self._path('classes.txt'))
        self._metainfo.setdefault('classes', tuple(names.values()))

        data_list, lines = [], {}
        for key, image in images.items():
            path, = image.values
            if path in lines:
                raise image.error(f"the image '{path}' is already on line {lines[path]}")
            lines[path] = image.line
            class_id, = labels[key].values
            if class_id not in names:
                raise labels[key].error(f'class {class_id} has no name in classes.txt')
            label = numbered.get(class_id)
            if label is None or splits[key].values[0] != (self.split == 'train'):
                continue
            instances = [dict(bbox=_corners(boxes[key]), bbox_label=label,
                              mask_path=self._path(f'segmentations/{splitext(path)[0]}.png'))
                         ] if key in boxes else []
            data_list.append(dict(img_path=join_path(self.img_prefix, path), gt_label=label,
                                  instances=instances, orientation='stored'))
        return data_list

    def _path(self, name: str) -> str:
        return join_path(self.data_root, name)

    def _read(self, name: str, /, **columns) -> dict[int, Row]:
        # the official lists end with a line break
        return read_table(self._path(name), dict(id=whole, **columns), closed=True)


def _corners(row):
    x, y, width, height = row.values
    box = [x, y, x + width, y + height]
    check_box(row, box)
    return box
