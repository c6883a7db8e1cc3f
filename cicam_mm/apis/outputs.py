"""Predictions as files for other programs, written in one pass over any number of images."""
import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from cicam_mm.utils.io import open_atomically, spreadsheet_cell, to_json

#: Names of the files.
RESULTS = ('predictions.json', 'predictions.csv', 'predictions.parquet', 'annotations.json',
           'left_out.json')
#: Rows of the Parquet file that are held in memory, and the size of a row group.
ROW_GROUP = 50_000


def write_results(folder: str | Path,
                  images: Iterable[dict],
                  class_names: Sequence[str],
                  min_score: float = 0.) -> dict:
    """Write results in COCO's formats and as tables; all files appear together at the end.

    ========================= ===================================================================
    ``predictions.json``      COCO's result format, one dict per image: ``image_id``, its index
                              among all inputs, ``category_id``, ``bbox`` (x, y, width, height in
                              pixels) and ``score``; besides ``file_name`` and ``category``
    ``predictions.csv``       the same in columns, with the label from 0 and the box as x0, y0,
                              x1, y1; names that a spreadsheet would take for a formula have an
                              apostrophe in front
    ``predictions.parquet``   the same with width and height, where pyarrow is installed
    ``annotations.json``      COCO's annotation format, to train a detector on. Boxes without area
                              and images without a box, which a detector would learn as
                              background, are left out
    ``left_out.json``         ``image_id``, ``file_name`` and ``reason`` of images that could not
                              be used
    ========================= ===================================================================

    Categories are labels + 1 in both COCO files, because detectors use 0 for the background.

    Args:
        folder (str | Path): Created if missing.
        images (Iterable[dict]): Results of :class:`WSOLInferencer`, in order; those with
            ``top_labels``, ``top_scores`` and ``top_boxes`` get an annotation for each of these.
            An image that could not be used has ``left_out``, the reason, in place of results.
        class_names (Sequence[str]): Names of all classes.
        min_score (float): Minimum score of an annotation. Defaults to 0.

    Returns:
        dict: The numbers of images ``localized`` and ``left_out`` and of annotations, ``boxes``.
    """
    folder, numbers = Path(folder), dict(localized=0, left_out=0, boxes=0)
    with ExitStack() as files:
        def open_list(name):
            return files.enter_context(_JsonList(
                files.enter_context(open_atomically(folder / name))))

        predictions, left_out = open_list('predictions.json'), open_list('left_out.json')
        # file names on Linux need not be valid text
        table = csv.writer(files.enter_context(open_atomically(
            folder / 'predictions.csv', errors='surrogateescape', newline='')))
        table.writerow(['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'])
        coco = files.enter_context(_CocoAnnotations(
            files.enter_context(open_atomically(folder / 'annotations.json')), class_names))
        parquet = folder / 'predictions.parquet'
        columns = None
        if find_spec('pyarrow'):
            columns = files.enter_context(_ParquetTable(
                files.enter_context(open_atomically(parquet, 'wb'))))
        for image in images:
            number, name = image['sample_idx'], image['img_path']
            if 'left_out' in image:
                numbers['left_out'] += 1
                left_out.add(dict(image_id=number, file_name=name, reason=image['left_out']))
                continue
            numbers['localized'] += 1
            label, box = image['pred_label'], image['pred_box']
            names = {'category': image['pred_class']} if 'pred_class' in image else {}
            predictions.add(dict(image_id=number, category_id=label + 1, bbox=_coco_box(box),
                                 score=image['pred_score'], file_name=name, **names))
            table.writerow(map(spreadsheet_cell, [
                number, name, label, image.get('pred_class', ''), f'{image["pred_score"]:.4f}',
                *box]))
            if columns:
                columns.add(image)
            numbers['boxes'] += coco.add(image, min_score)
    if columns is None:
        parquet.unlink(missing_ok=True)  # from an earlier run
    return numbers


class _JsonList:
    """A JSON list, one item per line, that is never in memory as a whole."""

    def __init__(self, file, end=']\n'):
        self._file, self._end, self._separator = file, end, '[\n'

    def add(self, item) -> None:
        self._file.write(self._separator + to_json(item))
        self._separator = ',\n'

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        if kind is None:
            self._file.write('[' if self._separator == '[\n' else '\n')
            self._file.write(self._end)


class _CocoAnnotations:
    """Images first, annotations in a temporary file until the end."""

    def __init__(self, file, class_names):
        self._file, self._class_names, self._count = file, class_names, 0

    def __enter__(self):
        self._file.write('{"info": {}, "licenses": [],\n"images": ')
        self._images = _JsonList(self._file, '],\n"annotations": ')
        self._rest = TemporaryFile('w+', encoding='utf-8')
        self._annotations = _JsonList(self._rest, '],\n"categories": ')
        return self

    def add(self, image: dict, min_score: float) -> int:
        """Add an image and its boxes; returns the number of boxes."""
        found = [(image['pred_label'], image['pred_score'], image['pred_box'])]
        if 'top_labels' in image:
            top = (image[f'top_{key}'] for key in ('labels', 'scores', 'boxes'))
            found = [*zip(*top, strict=True)]
        number, before = image['sample_idx'], self._count
        for label, score, (x0, y0, x1, y1) in found:
            area = (x1 - x0) * (y1 - y0)
            if score >= min_score and area > 0:
                self._count += 1
                self._annotations.add(dict(
                    id=self._count, image_id=number, category_id=label + 1,
                    bbox=_coco_box((x0, y0, x1, y1)), area=area, iscrowd=0, score=score))
        if self._count > before:
            height, width = image['ori_shape']
            self._images.add(dict(
                id=number, file_name=image['img_path'], width=width, height=height))
        return self._count - before

    def __exit__(self, kind, *error):
        with self._rest:
            if kind is not None:
                return
            for part in self._images, self._annotations:
                part.__exit__(None)
            self._rest.seek(0)
            while block := self._rest.read(2**20):
                self._file.write(block)
            self._file.write(to_json([dict(id=number, name=name) for number, name in
                                      enumerate(self._class_names, 1)]) + '}\n')


class _ParquetTable:
    """A table as in ``predictions.csv``, with width and height added."""

    def __init__(self, file):
        import pyarrow
        from pyarrow import parquet

        self._schema = pyarrow.schema(dict(
            image_id='int64', file='string', label='int32', **{'class': 'string'},
            score='float32', **dict.fromkeys(
                ('x0', 'y0', 'x1', 'y1', 'width', 'height'), 'int32')).items())
        self._writer, self._rows = parquet.ParquetWriter(file, self._schema), []

    def add(self, image: dict) -> None:
        # bytes of file names that are not valid text are escaped, as \\xfc
        name = image['img_path'] and image['img_path'].encode(
            'utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
        height, width = image['ori_shape']
        self._rows.append((image['sample_idx'], name, image['pred_label'], image.get('pred_class'),
                           image['pred_score'], *image['pred_box'], width, height))
        if len(self._rows) == ROW_GROUP:
            self._flush()

    def _flush(self):
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.table(
                [*zip(*self._rows, strict=True)], schema=self._schema))
            self._rows.clear()

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        if kind is None:
            self._flush()
        self._writer.close()


def _coco_box(box):
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
