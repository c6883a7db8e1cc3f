"""ILSVRC CLS-LOC (ImageNet-1k) with boxes, from either of the two published formats."""
from posixpath import basename, splitext
from xml.etree import ElementTree

from mmengine.fileio import isdir, join_path
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes

from .base import CheckedDataset
from .classes import list_images, number_classes, sorted_files, visible_folders
from .images import EXTENSIONS
from .lists import Row, check_box, nonempty, number, read_table


def read_solution(path: str) -> dict[str, Row]:
    """Synset and box of each object by image, from ``synset x0 y0 x1 y1`` of Kaggle's CSV file."""
    return read_table(path, dict(ImageId=nonempty, PredictionString=_parse_objects), sep=',')


def _parse_objects(text):
    fields = text.split()
    return [(synset, [number(end) for end in (x0, y0, x1, y1)])
            for synset, x0, y0, x1, y1 in (fields[i:i + 5] for i in range(0, len(fields), 5))]


def read_xml_folder(folder: str) -> dict[str, Row]:
    """The same from XML files in the layout of PASCAL VOC, one for each image."""
    paths = [f'{folder}/{file}' for file in sorted_files(folder, recursive=False)
             if file.endswith('.xml')]
    if not paths:
        raise UserError(f"There is no XML file in '{folder}'; check the path of the boxes.")
    return {_stem(path): Row(path, None, (_read_objects(path), )) for path in paths}


def _read_objects(path):
    content = read_bytes(path, limit=2**24)
    try:
        return [(nonempty(each.findtext('name', '').strip()),
                 [number(each.findtext(f'bndbox/{end}', '').strip())
                  for end in ('xmin', 'ymin', 'xmax', 'ymax')])
                for each in ElementTree.fromstring(content).iter('object')]
    except (ElementTree.ParseError, ValueError) as error:
        raise Row(path, None, ()).error('it is not a list of objects, each with its name and '
                                        f'bndbox ({error})') from None


def _stem(path):
    return splitext(basename(path))[0]


def _synset_and_boxes(row):
    """The class of all objects of an image, and their boxes."""
    objects, = row.values
    if not objects:
        raise row.error('the image has no object')
    first = objects[0][0]
    for synset, box in objects:
        check_box(row, box, inclusive=True)
        if synset != first:
            raise row.error(f"'{synset}' is not the class of the image's first object, '{first}'")
    return first, [box for _, box in objects]


@DATASETS.register_module()
class ILSVRCLocalization(CheckedDataset, CustomDataset):
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

    The label is the position of the synset in ``classes``, by default in the list of synsets.
    Boxes are x0, y0, x1, y1 as in the files, from 0 to at most width - 1 and height - 1; the
    pixels at x1 and y1 belong to the box.

    Args:
        data_prefix (str): The folder of the images, in ``data_root``.
        ann_file (str): The CSV file or the folder of XML files, in ``data_root``. It must name
            all images of the folder and no others. Defaults to '', for training images: they
            have no boxes, and their folder is the class.
        synsets (str): The list of synsets, or a folder with one folder per synset, in
            alphabetical order; in ``data_root``.
        classes (str | Sequence[str], optional): Synsets or names of the classes to use, or a file
            with one per line; images of other classes are left out. Defaults to None, all.

    Raises:
        UserError: If a line or file is malformed, a box has no area, a synset is unknown, or the
            names of images and annotations differ.
    """

    def __init__(self,
                 data_root: str,
                 data_prefix: str,
                 ann_file: str = '',
                 synsets: str = 'LOC_synset_mapping.txt',
                 extensions: tuple[str, ...] = EXTENSIONS,
                 **kwargs):
        self.synsets = synsets
        super().__init__(data_root=data_root, data_prefix=data_prefix, ann_file=ann_file,
                         extensions=extensions, **kwargs)

    def load_data_list(self) -> list[dict]:
        path = join_path(self.data_root, self.synsets)
        if isdir(path):
            names = {synset: synset for synset in visible_folders(path)}
        else:
            table = read_table(path, dict(synset=str, names=str))
            names = {synset: row.values[0] for synset, row in table.items()}
        labels = number_classes(names, self._metainfo.get('classes'), self.synsets)
        self._metainfo.setdefault('classes', tuple(names.values()))
        if not self.ann_file:
            return [dict(img_path=join_path(self.img_prefix, path), gt_label=label,
                         orientation='stored')
                    for path, label in list_images(self.img_prefix, labels, self.extensions)]

        read = read_xml_folder if isdir(self.ann_file) else read_solution
        annotations = read(self.ann_file)
        files = [path for path in sorted_files(self.img_prefix) if self.is_valid_file(path)]
        paths = {_stem(path): join_path(self.img_prefix, path) for path in files}
        if len(paths) < len(files):
            raise UserError(f"{len(files) - len(paths)} images in '{self.img_prefix}' have the "
                            'same name as another one; remove the duplicates.')
        if bare := paths.keys() - annotations.keys():
            raise UserError(f"{len(bare)} of {len(paths)} images in '{self.img_prefix}' are not "
                            f"in {self.ann_file}, the first is '{min(bare)}'; restore their "
                            'boxes, or remove the images.')
        data_list = []
        for image, row in annotations.items():
            if image not in paths:
                raise row.error(f"there is no image '{image}' in {self.img_prefix}")
            synset, boxes = _synset_and_boxes(row)
            if synset not in names:
                raise row.error(f"'{synset}' is not in {self.synsets}")
            if synset in labels:
                data_list.append(dict(
                    img_path=paths[image], gt_label=labels[synset], orientation='stored',
                    instances=[dict(bbox=box, bbox_label=labels[synset]) for box in boxes]))
        return data_list
