"""Class and boxes of the ILSVRC images, from either of the two published formats.

Boxes are x0, y0, x1, y1 as in the files: from 0 to at most width - 1 and height - 1; the pixels
at both ends belong to the box.
"""
from posixpath import basename, splitext
from typing import NamedTuple

from mmengine.fileio import list_dir_or_file

from cicam_mm.errors import UserError

from .annotation_file import check_area, line_error, nonempty, number, read_table
from .xml_file import read_value, read_xml


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
