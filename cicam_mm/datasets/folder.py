"""Class-per-folder images with a list of boxes."""
from collections import defaultdict
from posixpath import normpath

from mmengine.fileio import exists, join_path
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from .base import CheckedDataset
from .classes import list_images, visible_folders
from .images import EXTENSIONS
from .lists import check_box, image_path, number, read_rows


@DATASETS.register_module()
class FolderLocalization(CheckedDataset, CustomDataset):
    """Images in one folder per class, and a CSV file with their boxes: ::

        data_root
        ├── boxes.csv          # path,x0,y0,x1,y1
        └── data_prefix
            ├── class_a/x.png
            └── class_b/y.png

    The label is the position of the folder's name in ``classes``, by default in alphabetical
    order. Each row of the CSV file is one box in pixels of the image with exclusive ends; an
    image may have several rows. Paths are relative to ``data_root``; a first row with the column
    names is optional. One list may hold the boxes of training, validation and test.

    Args:
        data_prefix (str): The folder of the class folders, in ``data_root``.
        box_file (str, optional): The CSV file, in ``data_root``. Training images
            (``test_mode=False``) need no boxes, nor do classes none of whose images has one.
        classes (str | Sequence[str], optional): Names of the class folders, or a file with one
            name per line. A class without a folder has no images; other folders are left out.
            Defaults to None, all folders.

    Raises:
        UserError: If there is no image, a folder contains a link to a folder above it, a row is
            malformed, its box has no area or its image does not exist, or a test image lacks a
            box.
    """

    def __init__(self,
                 data_root: str = '',
                 data_prefix: str = '',
                 box_file: str | None = None,
                 extensions: tuple[str, ...] = EXTENSIONS,
                 **kwargs):
        self.box_file = box_file
        super().__init__(data_root=data_root, data_prefix=data_prefix, extensions=extensions,
                         **kwargs)

    def load_data_list(self) -> list[dict]:
        data_list = super().load_data_list()
        boxes = self._read_boxes({normpath(info['img_path']) for info in data_list})
        for info in data_list:
            info['instances'] = [dict(bbox=box, bbox_label=info['gt_label'])
                                 for box in boxes[normpath(info['img_path'])]]
        return data_list

    def _find_samples(self) -> list[tuple[str, int]]:
        classes = self._metainfo.get('classes') or visible_folders(self.img_prefix)
        self._metainfo['classes'] = tuple(classes)
        self.folder_to_idx = {name: label for label, name in enumerate(classes)}
        return list_images(self.img_prefix, self.folder_to_idx, self.extensions)

    def _read_boxes(self, images: set[str]) -> dict[str, list]:
        boxes = defaultdict(list)
        if self.box_file is None:
            return boxes
        columns = dict(path=image_path, x0=number, y0=number, x1=number, y1=number)
        for row in read_rows(join_path(self.data_root, self.box_file), columns, sep=','):
            path, *box = row.values
            check_box(row, box)
            image = normpath(join_path(self.data_root, path))
            if image in images:
                boxes[image].append(box)
            elif not exists(image):
                raise row.error(f"there is no image '{image}' (paths are relative to data_root)")
        return boxes
