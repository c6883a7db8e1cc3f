"""CUB-200-2011 with boxes and masks."""
from posixpath import splitext

from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError

from .lists import Row, check_area, check_same_keys, line_error, number, read_table
from .wrappers import CheckedSubset


@DATASETS.register_module()
class CUBLocalization(CheckedSubset, BaseDataset):
    """`CUB-200-2011 <http://www.vision.caltech.edu/datasets/cub_200_2011/>`_
    (Wah et al., 2011) with its bounding boxes, in the official layout: ::

        CUB_200_2011
        ├── images/                  # one folder per class
        ├── segmentations/           # the same folders, with masks as PNG; for PxAP only
        ├── images.txt               # id path
        ├── classes.txt              # class name
        ├── image_class_labels.txt   # id class
        ├── train_test_split.txt     # id 1 (training) or 0 (test)
        └── bounding_boxes.txt       # id x y width height

    Labels are contiguous: the position of the class in ``classes``, by default
    in classes.txt. So lists reduced to some classes need no further settings.
    Boxes are ``(x0, y0, x1, y1)`` in pixels of the stored image with exclusive
    ends; :class:`LoadWSOLImage` checks that they are inside the image. Masks,
    which are published in a separate archive, are read by :class:`LoadWSOLMask`
    if the pipeline has it; their grey values are shares of five annotators.

    Args:
        data_root (str): The folder of the lists.
        split (str): 'train' or 'test'. Defaults to 'train'.
        classes (str | Sequence[str], optional): Names of the classes to use, as
            in classes.txt, or a file with one name per line; images of other
            classes are left out. Defaults to None, which means all classes.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a list is missing.
        ValueError: If a list is truncated or malformed, lists disagree, a class
            has no name, a box has no area, or no image is left.
    """

    def __init__(self, data_root: str, split: str = 'train', **kwargs):
        if split not in ('train', 'test'):
            raise UserError(f"split must be 'train' or 'test', not '{split}'.")
        self.split = split
        super().__init__(
            ann_file='images.txt', data_root=data_root, data_prefix='images', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Reads and checks the lists of all images; keeps those of the split."""
        images = self._read('images.txt', id=int, path=str)
        labels = self._read('image_class_labels.txt', id=int, class_id=int)
        splits = self._read('train_test_split.txt', id=int, is_training=('0', '1').index)
        boxes = self._read(
            'bounding_boxes.txt', id=int, x=number, y=number, width=number, height=number)
        check_same_keys({self._path('images.txt'): images,
                         self._path('image_class_labels.txt'): labels,
                         self._path('train_test_split.txt'): splits,
                         self._path('bounding_boxes.txt'): boxes})
        names = self._read('classes.txt', class_id=int, name=str)
        label_of_name = self._label_of_name(names)

        data_list = []
        for key, (_, (path, )) in images.items():
            line, (class_id, ) = labels[key]
            if class_id not in names:
                raise line_error(self._path('image_class_labels.txt'), line,
                                 f'class {class_id} has no name in classes.txt')
            box = self._box(*boxes[key])
            label = label_of_name.get(names[class_id].values[0])
            is_training = splits[key].values[0] == 1
            if label is not None and is_training == (self.split == 'train'):
                data_list.append(dict(
                    img_path=join_path(self.img_prefix, path),
                    gt_label=label,
                    instances=[dict(bbox=box, bbox_label=label,
                                    mask_path=self._mask_path(path))]))
        if not data_list:
            raise UserError(f"No image of split '{self.split}' in {self.data_root}; check "
                            'train_test_split.txt and the option classes.')
        return data_list

    def _path(self, name: str) -> str:
        return join_path(self.data_root, name)

    def _mask_path(self, path: str) -> str:
        return self._path(f'segmentations/{splitext(path)[0]}.png')

    def _read(self, file: str, /, **columns) -> dict[int, Row]:
        # the official lists end with a line break, so one that does not is truncated
        return read_table(self._path(file), columns, closed=True)

    def _label_of_name(self, names: dict[int, Row]) -> dict[str, int]:
        known = [row.values[0] for row in names.values()]
        classes = self._metainfo.setdefault('classes', tuple(known))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise UserError(f"{self._path('classes.txt')} has no class '{unknown[0]}' "
                            f'({len(unknown)} of these in all); its names look like {known[:3]}.')
        return {name: label for label, name in enumerate(classes)}

    def _box(self, line: int, values: tuple[float, float, float, float]) -> list[float]:
        x, y, width, height = values
        box = (x, y, x + width, y + height)
        check_area(self._path('bounding_boxes.txt'), line, box)
        return list(box)

    def extra_repr(self) -> list[str]:
        return [f'Split: \t{self.split}', f'Root of dataset: \t{self.data_root}']
