"""Predictions as files for other programs."""
import csv
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import IO

from cicam_mm.utils.io import open_atomically, spreadsheet_cell, to_json


def write_predictions(folder: str | Path, results: Iterable[dict]) -> None:
    """Write ``predictions.json`` and ``predictions.csv`` into a folder.

    The first is a list in COCO's result format, one dict per image: ``image_id``, its index among
    all inputs, ``category_id``, the label counted from 0, ``bbox``, its x, y, width and height in
    pixels, and ``score``; besides ``file_name`` and, where names are known, ``category``. The
    second holds the same in columns, with the box as x0, y0, x1, y1; names that a spreadsheet
    would take for a formula have an apostrophe in front of them.

    Args:
        folder (str | Path): Created if missing.
        results (Iterable[dict]): Results of :class:`WSOLInferencer`; iterated over twice.
    """
    folder = Path(folder)
    with open_atomically(folder / 'predictions.json') as file:
        write_json_list(file, map(_coco_result, results))
        file.write('\n')
    # file names on Linux need not be valid text
    with open_atomically(folder / 'predictions.csv', errors='surrogateescape', newline='') as file:
        table = csv.writer(file)
        table.writerow(['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'])
        for result in results:
            table.writerow(map(spreadsheet_cell, [
                result['sample_idx'], result['img_path'], result['pred_label'],
                result.get('pred_class', ''), f'{result["pred_score"]:.4f}', *result['pred_box']]))


def coco_box(box: Iterable[int]) -> list[int]:
    """Convert a box x0, y0, x1, y1 to x, y, width, height."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def write_json_list(file: IO[str], items: Iterable) -> None:
    """Write a JSON list, one item per line, without holding it in memory."""
    separator = '[\n'
    for item in items:
        file.write(separator + to_json(item))
        separator = ',\n'
    file.write('[]' if separator == '[\n' else '\n]')


def _coco_result(result):
    names = {'category': result['pred_class']} if 'pred_class' in result else {}
    return dict(
        image_id=result['sample_idx'],
        category_id=result['pred_label'],
        bbox=coco_box(result['pred_box']),
        score=result['pred_score'],
        file_name=result['img_path'],
        **names)


def write_annotations(path: Path,
                      results: Iterable[dict],
                      class_names: Iterable[str],
                      min_score: float = 0.) -> int:
    """Write an annotation file in COCO's format: ``images``, ``annotations`` and ``categories``.

    Categories count from 1, because detectors use 0 for the background. Boxes without area are
    left out, as are images without a box, which a detector would learn as background.

    Args:
        path (Path): The file.
        results (Iterable[dict]): Results of :class:`WSOLInferencer`; iterated over twice. If
            they have ``top_labels``, ``top_scores`` and ``top_boxes``, all of these are written.
        class_names (Iterable[str]): Names of all classes.
        min_score (float): Minimum score of a box. Defaults to 0.

    Returns:
        int: Number of boxes written.
    """
    numbers = count(1)
    with open_atomically(path) as file:
        file.write('{"images": ')
        write_json_list(file, (_image(result) for result in results
                               if any(_boxes(result, min_score))))
        file.write(',\n"annotations": ')
        write_json_list(file, (
            dict(id=next(numbers), image_id=result['sample_idx'], category_id=label + 1,
                 bbox=coco_box(box), area=_area(box), iscrowd=0, score=score)
            for result in results for label, score, box in _boxes(result, min_score)))
        file.write(',\n"categories": ')
        write_json_list(file, (dict(id=number, name=name)
                               for number, name in enumerate(class_names, 1)))
        file.write('}\n')
    return next(numbers) - 1


def _boxes(result, min_score) -> Iterator[tuple]:
    """Label, score and box of each annotation of an image."""
    if 'top_labels' in result:
        found = zip(result['top_labels'], result['top_scores'], result['top_boxes'], strict=True)
    else:
        found = [(result['pred_label'], result['pred_score'], result['pred_box'])]
    return (each for each in found if each[1] >= min_score and _area(each[2]) > 0)


def _area(box):
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)


def _image(result):
    height, width = result['ori_shape']
    return dict(id=result['sample_idx'], file_name=result['img_path'], width=width, height=height)


#: Number of rows held in memory, and the size of a row group.
ROW_GROUP = 50_000


def write_parquet(path: Path, results: Iterable[dict]) -> None:
    """Write a table like ``predictions.csv``, with width and height added, as a Parquet file.

    Bytes of file names that are not valid text are escaped, as ``\\xfc``.

    Args:
        path (Path): The file.
        results (Iterable[dict]): Results of :class:`WSOLInferencer`.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(dict(
        image_id='int64', file='string', label='int32', **{'class': 'string'}, score='float32',
        **dict.fromkeys(('x0', 'y0', 'x1', 'y1', 'width', 'height'), 'int32')).items())
    rows = map(_row, results)
    with open_atomically(path, 'wb') as file, parquet.ParquetWriter(file, schema) as writer:
        for group in iter(lambda: [*islice(rows, ROW_GROUP)], []):
            writer.write_table(pyarrow.table([*zip(*group, strict=True)], schema=schema))


def _row(result) -> tuple:
    name = result['img_path']
    valid = name and name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
    height, width = result['ori_shape']
    return (result['sample_idx'], valid, result['pred_label'], result.get('pred_class'),
            result['pred_score'], *result['pred_box'], width, height)
