"""Predictions of an inferencer as files for other programs."""
import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_predictions(folder: str | Path, results: Iterable[dict]) -> None:
    """Write ``predictions.json`` and ``predictions.csv`` into a folder.

    The first is a list in COCO's result form, one dict per image: ``image_id``, its place among
    all inputs, ``category_id``, the label counted from 0, ``bbox``, its x, y, width and height in
    pixels, and ``score``; besides ``file_name`` and, where names are known, ``category``. The
    second holds the same in columns, with the box as x0, y0, x1, y1.

    Args:
        folder (str | Path): Created if need be.
        results (Iterable[dict]): What :class:`WSOLInferencer` returns; gone through twice.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / 'predictions.json') as file:
        write_json_list(file, map(_coco_result, results))
        file.write('\n')
    # Linux allows names that are no valid text.
    with replacing(folder / 'predictions.csv', errors='surrogateescape', newline='') as file:
        table = csv.writer(file)
        table.writerow(['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'])
        for result in results:
            table.writerow([
                result['sample_idx'], result['img_path'], result['pred_label'],
                result.get('pred_class', ''), f'{result["pred_score"]:.4f}', *result['pred_box']])


def coco_box(box: Iterable[int]) -> list[int]:
    """x, y, width and height of a box x0, y0, x1, y1."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def write_json_list(file: IO[str], items: Iterable) -> None:
    """Write a JSON list, one item a line, without holding it in memory."""
    separator = '[\n'
    for item in items:
        file.write(separator + json.dumps(item))
        separator = ',\n'
    file.write('[]' if separator == '[\n' else '\n]')


@contextmanager
def replacing(path: Path, mode: str = 'w', **options) -> Iterator[IO]:
    """A file that takes the place of what is under its name once it is written completely.

    Args:
        path (Path): Its name.
        mode (str): 'w' or 'wb'. Defaults to 'w', UTF-8.
        **options: Other arguments of ``open``.
    """
    unfinished = path.with_name(f'{path.name}.part')
    try:
        with open(unfinished, mode, encoding=None if 'b' in mode else 'utf-8', **options) as file:
            yield file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _coco_result(result):
    names = {'category': result['pred_class']} if 'pred_class' in result else {}
    return dict(
        image_id=result['sample_idx'],
        category_id=result['pred_label'],
        bbox=coco_box(result['pred_box']),
        score=result['pred_score'],
        file_name=result['img_path'],
        **names)
