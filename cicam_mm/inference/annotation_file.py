"""Writing predicted boxes as annotations for training an object detector."""
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from cicam_mm.apis.prediction_files import coco_box, write_json_list
from cicam_mm.files import open_atomically


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
