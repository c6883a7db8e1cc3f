"""Class-per-folder images with a list of boxes."""
import os
from collections import defaultdict
from pathlib import Path
from posixpath import normpath

from mmengine.fileio import join_path
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError

from .lists import check_area, line_error, number, read_rows
from .wrappers import CheckedSubset


@DATASETS.register_module()
class FolderLocalization(CheckedSubset, CustomDataset):
    """Images in one folder per class, and a CSV file with their boxes: ::

        data_root
        ├── boxes.csv          # path,x0,y0,x1,y1
        └── data_prefix
            ├── class_a/x.png
            └── class_b/y.png

    Each row of the CSV file is one box in pixels of the stored image with
    exclusive ends; an image may have several rows. Paths are relative to
    ``data_root``; a first row with the column names is optional.
    :class:`LoadWSOLImage` checks that boxes are inside their image.

    Args:
        data_root (str): The root of the data set. Defaults to ''.
        data_prefix (str): The folder of the class folders, in ``data_root``.
            Defaults to ''.
        box_file (str, optional): The CSV file, in ``data_root``; it must not
            list images that are not in this data set. Training images
            (``test_mode=False``) need no boxes. Defaults to None.
        **kwargs: Other arguments of mmpretrain's ``CustomDataset``.

    Raises:
        FileNotFoundError: If the CSV file is missing.
        UserError: If a folder contains a link to a folder above it, an endless loop.
        ValueError: If a row is malformed, its box has no area or its image is
            unknown; or if ``test_mode=True`` and an image has no box.
    """

    def __init__(self,
                 data_root: str = '',
                 data_prefix: str = '',
                 box_file: str | None = None,
                 **kwargs):
        self.box_file = box_file
        super().__init__(data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Finds the images and joins them with their boxes."""
        check_no_cycle(self.img_prefix)
        data_list = super().load_data_list()
        boxes = self._read_boxes({normpath(info['img_path']) for info in data_list})
        for info in data_list:
            info['instances'] = [dict(bbox=box, bbox_label=info['gt_label'])
                                 for box in boxes[normpath(info['img_path'])]]
        bare = [info['img_path'] for info in data_list if not info['instances']]
        if self.test_mode and bare:
            raise UserError(
                f'{len(bare)} of {len(data_list)} test images have no box (box_file: '
                f"{self.box_file}), among them {', '.join(bare[:3])}; add a row for each, or "
                'remove the images.')
        return data_list

    def _read_boxes(self, images: set[str]) -> dict[str, list]:
        boxes = defaultdict(list)
        if self.box_file is None:
            return boxes
        file = join_path(self.data_root, self.box_file)
        columns = dict(path=str, x0=number, y0=number, x1=number, y1=number)
        for line, (path, *box) in read_rows(file, columns, sep=','):
            image = normpath(join_path(self.data_root, path))
            if image not in images:
                raise line_error(file, line, f"there is no image '{image}' in this data set "
                                 '(paths are relative to data_root)')
            check_area(file, line, box)
            boxes[image].append(box)
        return boxes

    def extra_repr(self) -> list[str]:
        return super().extra_repr() + [f'Boxes: \t{self.box_file}']


def check_no_cycle(folder: str) -> None:
    """Raises a UserError if a link below a folder leads to a folder above the link."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            link = os.path.join(path, name)
            if os.path.islink(link) and Path(link).resolve() in (
                    parent := Path(path).resolve(), *parent.parents):
                raise UserError(f'{link} links to a folder above it, so its images would be found '
                                'again and again; remove the link.')
