"""CUB-200-2011 with boxes and masks."""
from posixpath import splitext

from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError

from .base import CheckedDataset
from .classes import check_unique
from .lists import Row, check_box, check_images, check_keys, line_error, number, read_table, whole


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

    Labels are contiguous: the position of the class's name in ``classes``, by default in
    classes.txt. So lists reduced to some classes need no further settings. Boxes are ``(x0, y0,
    x1, y1)`` in pixels of the stored image with exclusive ends; they are read only with
    ``test_mode=True``, and a class may have none at all. Masks, which are published in a separate
    archive, are read by :class:`LoadWSOLMask`; their grey values are shares of five annotators.

    Args:
        data_root (str): The folder of the lists.
        split (str): 'train' or 'test'. Defaults to 'train'.
        classes (str | Sequence[str], optional): Names of the classes to use, as in classes.txt,
            or a file with one name per line; images of other classes are left out. Defaults to
            None, all classes.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a list is missing.
        UserError: If a list is cut off or malformed, names an image or a class twice, or lists
            disagree; if a class has no name, a box no area, or no image is left.
    """

    def __init__(self, data_root: str, split: str = 'train', **kwargs):
        if split not in ('train', 'test'):
            raise UserError(f"split must be 'train' or 'test', not '{split}'.")
        self.split = split
        super().__init__(
            ann_file='images.txt', data_root=data_root, data_prefix='images', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read and check the lists of all images; keep those of the split."""
        tables = {'images.txt': dict(path=str), 'image_class_labels.txt': dict(class_id=whole),
                  'train_test_split.txt': dict(is_training=('0', '1').index)}
        if self.test_mode:
            tables['bounding_boxes.txt'] = dict(x=number, y=number, width=number, height=number)
        tables = {name: self._read(name, id=whole, **columns) for name, columns in tables.items()}
        images, labels, splits, *boxes = tables.values()
        for name, table in tables.items():
            expected = images
            if name == 'bounding_boxes.txt':  # which may leave out whole classes
                boxed = {labels[key].values for key in table if key in labels}
                expected = {key: row for key, row in images.items()
                            if not boxed or labels[key].values in boxed}
            check_keys(self._path('images.txt'), expected, self._path(name), table)
            check_keys(self._path(name), table, self._path('images.txt'), images)
        check_images(self._path('images.txt'), {line: path for line, (path, ) in images.values()})
        names = self._read('classes.txt', class_id=whole, name=str)
        label_of_name = self._label_of_name([row.values[0] for row in names.values()])

        data_list = []
        for key, (_, (path, )) in images.items():
            line, (class_id, ) = labels[key]
            if class_id not in names:
                raise line_error(self._path('image_class_labels.txt'), line,
                                 f'class {class_id} has no name in classes.txt')
            label = label_of_name.get(names[class_id].values[0])
            instances = [dict(bbox=self._box(*table[key]), bbox_label=label,
                              mask_path=self._path(f'segmentations/{splitext(path)[0]}.png'))
                         for table in boxes if key in table]
            if label is not None and splits[key].values[0] == (self.split == 'train'):
                data_list.append(dict(img_path=join_path(self.img_prefix, path), gt_label=label,
                                      instances=instances, orientation='stored'))
        if not data_list:
            raise UserError(f"No image of split '{self.split}' in {self.data_root}; check "
                            'train_test_split.txt and the option classes.')
        return data_list

    def _path(self, name: str) -> str:
        return join_path(self.data_root, name)

    def _read(self, file: str, /, **columns) -> dict[int, Row]:
        # the official lists end with a line break, so one that does not is cut off
        return read_table(self._path(file), columns, closed=True)

    def _label_of_name(self, known: list[str]) -> dict[str, int]:
        check_unique(known, self._path('classes.txt'))
        classes = self._metainfo.setdefault('classes', tuple(known))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise UserError(f"{self._path('classes.txt')} has no class '{unknown[0]}' "
                            f'({len(unknown)} of these in all); its names look like {known[:3]}.')
        return {name: label for label, name in enumerate(classes)}

    def _box(self, line: int, values: tuple[float, float, float, float]) -> list[float]:
        x, y, width, height = values
        box = [x, y, x + width, y + height]
        check_box(self._path('bounding_boxes.txt'), line, box)
        return box
