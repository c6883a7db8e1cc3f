"""Predictions of an inferencer as files for other programs."""
import csv
import json
from collections.abc import Sequence
from pathlib import Path


def write_predictions(folder: str | Path, results: Sequence[dict]) -> None:
    """Write ``predictions.json`` and ``predictions.csv`` into a folder.

    The first is a list in COCO's result form, one dict per image: ``image_id``, its place among
    all inputs, ``category_id``, the label counted from 0, ``bbox``, its x, y, width and height in
    pixels, and ``score``; besides ``file_name`` and, where names are known, ``category``. The
    second holds the same in columns, with the box as x0, y0, x1, y1.

    Args:
        folder (str | Path): Created if need be.
        results (Sequence[dict]): What :class:`WSOLInferencer` returns.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    coco = [_coco_result(result) for result in results]
    (folder / 'predictions.json').write_text(json.dumps(coco, indent=1) + '\n')
    # Linux allows names that are no valid text.
    with open(folder / 'predictions.csv', 'w', encoding='utf-8', errors='surrogateescape',
              newline='') as file:
        table = csv.writer(file)
        table.writerow(['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'])
        for result in results:
            table.writerow([
                result['sample_idx'], result['img_path'], result['pred_label'],
                result.get('pred_class', ''), f'{result["pred_score"]:.4f}', *result['pred_box']])


def _coco_result(result):
    x0, y0, x1, y1 = result['pred_box']
    names = {'category': result['pred_class']} if 'pred_class' in result else {}
    return dict(
        image_id=result['sample_idx'],
        category_id=result['pred_label'],
        bbox=[x0, y0, x1 - x0, y1 - y0],
        score=result['pred_score'],
        file_name=result['img_path'],
        **names)
