"""COCO's formats: results, and annotations to train a detector on."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np

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
        return self.mask['area'] if self.mask else width * height

    @property
    def segmentation(self) -> dict:
        """The entry of COCO's formats, if there is a mask."""
        if self.mask is None:
            return {}
        return {'segmentation': {key: self.mask[key] for key in ('size', 'counts')}}


# ---------------------------------------------------------------- masks

def encode_rle(mask: np.ndarray) -> dict:
    """COCO's compressed RLE of a mask (H, W), and its ``area``.

    The RLE has the lengths of runs in columns, background first. From the third one on, a length
    is the difference to the one two before; each is written in groups of five bits from the
    lowest, a character each, whose sixth bit says that more follow.
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
    return dict(size=[*mask.shape], counts=''.join(text), area=int(flat.sum()))


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


def coco_result(image: dict, annotation: Annotation) -> dict:
    """An entry of COCO's result format, and the names of image and category."""
    names = {'category': image['pred_class']} if 'pred_class' in image else {}
    return dict(image_id=image['sample_idx'], category_id=annotation.label + 1,
                bbox=annotation.bbox, score=annotation.score, file_name=image['img_path'], **names,
                **annotation.segmentation)


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
