"""Annotation files of YOLO, Pascal VOC and Label Studio."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote
from xml.etree import ElementTree

from cicam_mm.utils.errors import printable
from cicam_mm.utils.io import to_json

from .coco import Writer, json_list


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
