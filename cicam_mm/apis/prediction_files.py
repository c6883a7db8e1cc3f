"""Writing predictions of an inferencer to files for other programs."""
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from cicam_mm.files import open_atomically
from cicam_mm.finite_json import to_json
from cicam_mm.spreadsheets import spreadsheet_cell


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
