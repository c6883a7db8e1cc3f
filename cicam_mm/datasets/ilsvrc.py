"""ILSVRC CLS-LOC (ImageNet-1k) with boxes."""
from mmengine.fileio import isdir, join_path
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.custom import find_folders, get_samples
from mmpretrain.registry import DATASETS

from cicam_mm.errors import UserError

from .annotation_file import line_error, read_table
from .ilsvrc_boxes import ImageBoxes, read_solution, read_xml_folder, stem
from .subset import CheckedSubset


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
