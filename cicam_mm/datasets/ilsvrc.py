"""ILSVRC CLS-LOC (ImageNet-1k) with boxes, from either of the two published formats."""
from posixpath import basename, splitext
from typing import NamedTuple

from mmengine.fileio import isdir, join_path, list_dir_or_file
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.custom import find_folders, get_samples
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError

from .lists import check_area, line_error, nonempty, number, read_table, read_value, read_xml
from .wrappers import CheckedSubset


class ImageBoxes(NamedTuple):
    """The objects of an image, all of one class, and the file and line that list them."""
    path: str
    line: int
    synset: str
    boxes: list[list[float]]


def read_solution(path: str) -> dict[str, ImageBoxes]:
    """Reads Kaggle's LOC_val_solution.csv, ``ImageId,PredictionString``.

    A prediction string is ``synset x0 y0 x1 y1``, repeated for each object.

    Returns:
        dict[str, ImageBoxes]: Objects by the name of the image, without extension.

    Raises:
        ValueError: If a line is malformed, or its objects are of different classes.
    """
    table = read_table(path, dict(ImageId=nonempty, PredictionString=str), sep=',')
    return {image: _join(path, line, _split(path, line, text))
            for image, (line, (text, )) in table.items()}


def read_xml_folder(path: str) -> dict[str, ImageBoxes]:
    """Reads a folder of XML files in the layout of PASCAL VOC, one for each image.

    Returns:
        dict[str, ImageBoxes]: Objects by the name of the image, without extension.

    Raises:
        ValueError: If there is no file, a file is malformed or has no object, or its objects are
            of different classes.
    """
    files = sorted(file for file in list_dir_or_file(path, list_dir=False)
                   if file.endswith('.xml'))
    if not files:
        raise UserError(f"There is no XML file in '{path}'; check the path of the boxes.")
    return {stem(file): _read_objects(f'{path}/{file}') for file in files}


def stem(path: str) -> str:
    """Name of a file without folder and extension."""
    return splitext(basename(path))[0]


def _read_objects(path):
    root = read_xml(path)
    return _join(path, int(root.get('line')), [
        (int(element.get('line')), read_value(path, element, 'name', nonempty),
         [read_value(path, element, f'bndbox/{end}', number)
          for end in ('xmin', 'ymin', 'xmax', 'ymax')]) for element in root.findall('object')])


def _split(path, line, text):
    fields = text.split()
    groups = [fields[i:i + 5] for i in range(0, len(fields), 5)]
    try:
        return [(line, synset, [number(end) for end in (x0, y0, x1, y1)])
                for synset, x0, y0, x1, y1 in groups]
    except ValueError:
        raise line_error(path, line, f"'{text}' is not one or several 'synset x0 y0 x1 y1'"
                         ) from None


def _join(path, first_line, objects):
    if not objects:
        raise line_error(path, first_line, 'the image has no object')
    for line, synset, box in objects:
        check_area(path, line, box, inclusive=True)
        if synset != objects[0][1]:
            raise line_error(path, line, f"'{synset}' is not the class of the image's first "
                             f"object, '{objects[0][1]}'")
    return ImageBoxes(path, first_line, objects[0][1], [box for _, _, box in objects])


@DATASETS.register_module()
class ILSVRCLocalization(CheckedSubset, CustomDataset):
    """`ILSVRC CLS-LOC <https://www.image-net.org/challenges/LSVRC/>`_ (Russakovsky et al., 2015),
    for instance in the layout published by Kaggle: ::

        data_root
        ├── LOC_synset_mapping.txt           # synset names
        ├── LOC_val_solution.csv             # boxes of the validation images, or
        └── ILSVRC
            ├── Annotations/CLS-LOC/val/     # the same, one XML file for each image
            └── Data/CLS-LOC
                ├── train/                   # one folder per synset
                └── val/                     # flat, or one folder per synset

    The label is the position of the synset in the list of synsets. Boxes are x0, y0, x1, y1 as in
    the files, from 0 to at most width - 1 and height - 1; the pixels at x1 and y1 belong to the
    box. The published metadata lists and code use the same numbers.

    Args:
        data_root (str): The root of the data set.
        data_prefix (str): The folder of the images, in ``data_root``.
        ann_file (str): The CSV file or the folder of XML files, in ``data_root``. It must name
            all images of the folder and no others. Defaults to '', for training images: they
            have no boxes, and their folder is the class.
        synsets (str): The list of synsets, or a folder with one folder per synset, which are
            then sorted alphabetically; in ``data_root``. Defaults to 'LOC_synset_mapping.txt'.
        **kwargs: Other arguments of mmpretrain's ``CustomDataset``.

    Raises:
        FileNotFoundError: If a file or folder is missing.
        ValueError: If a line or file is malformed, a box has no area, a synset is unknown or has
            no images, or the names of images and annotations differ.
    """

    def __init__(self,
                 data_root: str,
                 data_prefix: str,
                 ann_file: str = '',
                 synsets: str = 'LOC_synset_mapping.txt',
                 **kwargs):
        self.synsets = synsets
        super().__init__(
            data_root=data_root, data_prefix=data_prefix, ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Finds the images and joins them with their boxes."""
        names = self._read_synsets()
        self._metainfo.setdefault('classes', tuple(names.values()))
        label_of_synset = {synset: label for label, synset in enumerate(names)}
        if not self.ann_file:
            return self._read_class_folders(label_of_synset)
        read = read_xml_folder if isdir(self.ann_file) else read_solution
        return self._join(read(self.ann_file), label_of_synset)

    def _read_synsets(self) -> dict[str, str]:
        path = join_path(self.data_root, self.synsets)
        if isdir(path):
            return {synset: synset for synset in find_folders(path)[0]}
        table = read_table(path, dict(synset=str, names=str))
        return {synset: row.values[0] for synset, row in table.items()}

    def _read_class_folders(self, label_of_synset: dict[str, int]) -> list[dict]:
        differing = label_of_synset.keys() ^ set(find_folders(self.img_prefix)[0])
        if differing:
            raise UserError(
                f"The folders in '{self.img_prefix}' are not the synsets of {self.synsets}: "
                f"{len(differing)} are in only one of them, the first is '{min(differing)}'; "
                'restore the folders, or choose another list of synsets.')
        samples, empty = get_samples(self.img_prefix, label_of_synset, self.is_valid_file)
        if empty:
            raise UserError(f"{len(empty)} folders in '{self.img_prefix}' have no image, the "
                            f"first is '{min(empty)}'; restore their images.")
        return [dict(img_path=join_path(self.img_prefix, path), gt_label=label)
                for path, label in samples]

    def _join(self, annotations: dict[str, ImageBoxes], label_of_synset: dict) -> list[dict]:
        samples, _ = get_samples(self.img_prefix, None, self.is_valid_file)
        paths = {stem(path): join_path(self.img_prefix, path) for path in samples}
        if len(paths) < len(samples):
            raise UserError(f"{len(samples) - len(paths)} images in '{self.img_prefix}' have the "
                            'same name as another one; remove the duplicates.')
        bare = paths.keys() - annotations.keys()
        if bare:
            raise UserError(f"{len(bare)} of {len(paths)} images in '{self.img_prefix}' are not "
                            f"in {self.ann_file}, the first is '{min(bare)}'; restore their "
                            'boxes, or remove the images.')
        data_list = []
        for image, (path, line, synset, boxes) in annotations.items():
            if image not in paths:
                raise line_error(path, line, f"there is no image '{image}' in {self.img_prefix}")
            if synset not in label_of_synset:
                raise line_error(path, line, f"'{synset}' is not in {self.synsets}")
            label = label_of_synset[synset]
            data_list.append(dict(
                img_path=paths[image],
                gt_label=label,
                instances=[dict(bbox=box, bbox_label=label) for box in boxes]))
        return data_list

    def extra_repr(self) -> list[str]:
        return super().extra_repr() + [f'Boxes: \t{self.ann_file or None}']
