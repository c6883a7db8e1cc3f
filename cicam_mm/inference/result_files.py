"""The result files of a run."""
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from cicam_mm.apis.prediction_files import write_json_list, write_predictions
from cicam_mm.files import open_atomically

from .annotation_file import write_annotations
from .parquet_file import write_parquet
from .part_file import merge_parts

#: Names of the files.
RESULTS = ('predictions.json', 'predictions.csv', 'predictions.parquet', 'annotations.json',
           'left_out.json')
#: How many of the images left out are named in the summary; all are in ``left_out.json``.
MAX_NAMED = 20


def write_results(folder: Path, parts: Sequence[Path], class_names: Sequence[str],
                  min_score: float) -> dict:
    """Merge the results of the ranks into files for other programs.

    These are ``predictions.json`` and ``predictions.csv`` (:func:`write_predictions`),
    ``annotations.json`` (:func:`write_annotations`), with pyarrow ``predictions.parquet``
    (:func:`write_parquet`), and ``left_out.json``: ``image_id``, ``file_name`` and ``reason`` of
    images that could not be used.

    Args:
        folder (Path): Folder of the files.
        parts (Sequence[Path]): Files of the ranks.
        class_names (Sequence[str]): Names of all classes.
        min_score (float): Minimum score of an annotation.

    Returns:
        dict: The numbers of images ``localized``, ``drawn`` and ``left_out``, the number of
        annotations, ``boxes``, and the reasons for the first images left out, ``sentences``.
    """
    found, lost = _Images(parts, False), _Images(parts, True)
    write_predictions(folder, found)
    table = folder / 'predictions.parquet'
    if find_spec('pyarrow'):
        write_parquet(table, found)
    else:
        table.unlink(missing_ok=True)  # from an earlier run
    with open_atomically(folder / 'left_out.json') as file:
        write_json_list(file, (dict(image_id=image['sample_idx'], file_name=image['img_path'],
                                    reason=image['left_out']) for image in lost))
        file.write('\n')
    return dict(
        localized=sum(1 for _ in found),
        drawn=sum('drawn' in image for image in found),
        left_out=sum(1 for _ in lost),
        boxes=write_annotations(folder / 'annotations.json', found, class_names, min_score),
        sentences=[image['left_out'] for image in islice(lost, MAX_NAMED)])


class _Images:
    """The images of the parts that are left out, or all others; can be iterated repeatedly."""

    def __init__(self, parts: Sequence[Path], left_out: bool):
        self._parts = parts
        self._left_out = left_out

    def __iter__(self) -> Iterator[dict]:
        return (image for image in merge_parts(self._parts)
                if ('left_out' in image) == self._left_out)
