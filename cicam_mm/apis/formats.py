"""Annotation files for programs that train detectors or correct boxes."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, TypeAlias
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np

from cicam_mm.utils.errors import printable
from cicam_mm.utils.io import to_json


class Annotation(NamedTuple):
    """A box x0, y0, x1, y1 of a class, and its mask as :func:`encode_rle` returns it."""
    label: int
    score: float
    box: Sequence[int]
    mask: dict | None = None

    @property
    def bbox(self) -> list[int]:
        """COCO's x, y, width, height."""
        x0, y0, x1, y1 = self.box
        return [x0, y0, x1 - x0, y1 - y0]

    @property
    def area(self) -> int:
        """Of the mask, or without one of the box."""
        _, _, width, height = self.bbox
        return sum(rle_counts(self.mask)[1::2]) if self.mask else width * height

    @property
    def segmentation(self) -> dict:
        """The entry of COCO's formats, if there is a mask."""
        return {'segmentation': self.mask} if self.mask else {}


# ---------------------------------------------------------------- masks

def encode_rle(mask: np.ndarray) -> dict:
    """COCO's compressed RLE of a mask (H, W): lengths of runs in columns, background first.

    From the third one on, a length is the difference to the one two before; each is written in
    groups of five bits from the lowest, a character each, whose sixth bit says that more follow.
    """
    flat = np.ravel(mask, 'F').astype(bool)
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff([0, *changes, flat.size]).tolist()
    text = []
    for index, value in enumerate(counts):
        value -= counts[index - 2] if index > 2 else 0
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr(48 + bits + 32 * more))
    return dict(size=[*mask.shape], counts=''.join(text))


def rle_counts(rle: dict) -> list[int]:
    """The lengths of the runs that :func:`encode_rle` wrote."""
    counts: list[int] = []
    value = shift = 0
    for bits in (ord(letter) - 48 for letter in rle['counts']):
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << shift - 4  # the highest bit is the sign
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


# ---------------------------------------------------------------- files

#: Adds the annotations of an image, which is a result as of :class:`WSOLInferencer`.
Writer: TypeAlias = Callable[[dict, Sequence[Annotation]], None]


@contextmanager
def json_list(file: IO, end: str = ']\n') -> Iterator[Callable[[Any], None]]:
    """A function that adds an item to a JSON list, one per line, never in memory as a whole."""
    separator = '[\n'

    def add(item):
        nonlocal separator
        file.write(separator + to_json(item))
        separator = ',\n'

    yield add
    file.write(('[' if separator == '[\n' else '\n') + end)


@contextmanager
def coco(file: IO, class_names: Sequence[str]) -> Iterator[Writer]:
    """COCO's annotation format: images first, annotations in a temporary file until the end."""
    categories = [dict(id=number, name=name) for number, name in enumerate(class_names, 1)]
    ids = count(1)
    file.write('{"info": {}, "licenses": [],\n"images": ')
    with TemporaryFile('w+', encoding='utf-8') as rest:
        with (json_list(file, '],\n"annotations": ') as add_image,
              json_list(rest, '],\n"categories": ') as add_annotation):
            def add(image, annotations):
                number, (height, width) = image['sample_idx'], image['ori_shape']
                add_image(dict(
                    id=number, file_name=image['img_path'], width=width, height=height))
                for each in annotations:
                    add_annotation(dict(
                        id=next(ids), image_id=number, category_id=each.label + 1, bbox=each.bbox,
                        area=each.area, iscrowd=0, score=each.score, **each.segmentation))

            yield add
        rest.seek(0)
        copyfileobj(rest, file)
    file.write(to_json(categories) + '}\n')


def yolo(folder: Path, class_names: Sequence[str]) -> Writer:
    """YOLO's text files: ``labels/NAME.txt``, ``classes.txt`` and ``data.yaml`` in a folder.

    A line is the label from 0 and the box's centre x, y, width and height as shares of the image.
    """
    names = '\n'.join(f'  {label}: {to_json(name, ensure_ascii=False)}'
                      for label, name in enumerate(class_names))
    _write(folder / 'data.yaml', f'train: images\nval: images\nnames:\n{names}\n')
    _write(folder / 'classes.txt', ''.join(f'{name}\n' for name in class_names))

    def add(image, annotations):
        height, width = image['ori_shape']
        lines = [f'{label} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} '
                 f'{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}\n'
                 for label, _, (x0, y0, x1, y1), _ in annotations]
        _write(folder / 'labels' / annotation_path(image['img_path'], '.txt'), ''.join(lines))

    return add


def voc(folder: Path, class_names: Sequence[str]) -> Writer:
    """Pascal VOC's XML files, one per image; pixels count from 1, and both ends are included."""
    def add(image, annotations):
        height, width = image['ori_shape']
        found = [dict(name=class_names[label], pose='Unspecified', truncated=0, difficult=0,
                      bndbox=dict(xmin=x0 + 1, ymin=y0 + 1, xmax=x1, ymax=y1))
                 for label, _, (x0, y0, x1, y1), _ in annotations]
        tree = _element('annotation', dict(
            filename=Path(image['img_path']).name, path=image['img_path'],
            size=dict(width=width, height=height, depth=3), segmented=0, object=found))
        ElementTree.indent(tree)
        _write(folder / annotation_path(image['img_path'], '.xml'),
               ElementTree.tostring(tree, 'unicode') + '\n')

    return add


@contextmanager
def label_studio(file: IO, class_names: Sequence[str]) -> Iterator[Writer]:
    """Label Studio's tasks with predictions, to be corrected there.

    Files are addressed as its local storage serves them, by their path below the document root.
    """
    with json_list(file) as add_task:
        def add(image, annotations):
            (height, width), name = image['ori_shape'], image['img_path']
            address = name if '://' in name else '/data/local-files/?d=' + quote(
                name.lstrip('/'), errors='surrogateescape')
            result = [dict(
                id=str(number), type='rectanglelabels', from_name='label', to_name='image',
                original_width=width, original_height=height, image_rotation=0, score=score,
                value=dict(x=100 * x0 / width, y=100 * y0 / height, width=100 * (x1 - x0) / width,
                           height=100 * (y1 - y0) / height, rotation=0,
                           rectanglelabels=[class_names[label]]))
                for number, (label, score, (x0, y0, x1, y1), _) in enumerate(annotations)]
            add_task(dict(data=dict(image=address), predictions=[dict(
                model_version='cicam_mm', score=max(each.score for each in annotations),
                result=result)]))

        yield add


#: Formats by the name that the command line gives them: a folder of files, or one file.
FOLDER_FORMATS = dict(yolo=yolo, voc=voc)
FILE_FORMATS = dict(labelstudio=label_studio)


def path_below(path: str) -> Path:
    """A path or address as one below a folder."""
    return Path(*('up' if part == '..' else part for part in Path(path).parts if part != '/'))


def annotation_path(path: str, suffix: str) -> Path:
    """The file of annotations of an image: its path without folders named ``images``.

    YOLO takes the last folder of that name in a path for the one that ``labels`` is beside.
    """
    parts = path_below(path).with_suffix(suffix).parts
    return Path(*(part for part in parts if part != 'images'))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def _element(name, content):
    element = ElementTree.Element(name)
    if not isinstance(content, dict):
        element.text = printable(str(content))  # XML lacks control characters
        return element
    for key, value in content.items():
        for each in value if isinstance(value, list) else [value]:
            element.append(_element(key, each))
    return element
