"""Predictions as files for other programs, written in one pass over any number of images."""
import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from cicam_mm.utils.io import open_atomically, spreadsheet_cell

from .coco import Annotation, coco, coco_result, json_list
from .formats import FILE_FORMATS, FOLDER_FORMATS

PARQUET = 'predictions.parquet'
#: Names of the files.
RESULTS = ('predictions.json', 'predictions.csv', PARQUET, 'annotations.json', 'left_out.json',
           *(f'{name}.json' for name in FILE_FORMATS))
#: Folders of a run, and the names of the files that it and other programs write there.
FOLDERS = dict(pictures=r'\d{5,}(_.*)?\.png', score_maps=r'.*\.(npy|png)',
               yolo=r'.*\.(txt|yaml|cache)', voc=r'.*\.xml')
#: Rows of the Parquet file that are held in memory, and the size of a row group.
ROW_GROUP = 50_000


def write_results(folder: str | Path,
                  images: Iterable[dict],
                  class_names: Sequence[str],
                  min_score: float = 0.,
                  formats: Sequence[str] = (),
                  format_folder: Path | None = None,
                  top_k: int = 1) -> dict:
    """Write results in COCO's formats and as tables; all files appear together at the end.

    ========================= ===================================================================
    ``predictions.json``      COCO's result format, and ``file_name`` and ``category``;
                              ``image_id`` is the index of the image among all inputs
    ``predictions.csv``       the same in columns, with the label from 0 and the box as x0, y0,
                              x1, y1; see :func:`spreadsheet_cell`
    ``predictions.parquet``   the same with width and height, where pyarrow is installed
    ``annotations.json``      COCO's annotation format, to train a detector on. Boxes without area
                              and images without a box, which a detector would learn as
                              background, are left out
    ``left_out.json``         ``image_id``, ``file_name`` and ``reason`` of images that could not
                              be used
    further ``formats``       the boxes of ``annotations.json``, see :func:`yolo`, :func:`voc` and
                              :func:`label_studio` ('labelstudio')
    ========================= ===================================================================

    Categories are labels + 1 in both COCO files, because detectors use 0 for the background.

    Args:
        images: Results of :class:`WSOLInferencer`, in order. Each has one annotation, its
            ``pred_box``, unless it has ``instances``, dicts of ``box`` and maybe ``mask``, see
            :func:`encode_rle`.
        min_score: Minimum score of an annotation.
        format_folder: Where ``yolo`` and ``voc`` are written, file by file; default: ``folder``.
        top_k: Number of ``top_labels`` whose boxes become annotations; the tables and
            ``predictions.json`` still have the first.

    Returns:
        dict: The numbers of images ``localized`` and ``left_out`` and of annotations, ``boxes``.
    """
    folder, numbers = Path(folder), dict(localized=0, left_out=0, boxes=0)
    with ExitStack() as files:
        def open_file(name, mode='w', **options):
            return files.enter_context(open_atomically(folder / name, mode, **options))

        add_prediction, add_left_out = (files.enter_context(json_list(open_file(name)))
                                        for name in ('predictions.json', 'left_out.json'))
        # file names on Linux need not be valid text
        table = csv.writer(open_file('predictions.csv', errors='surrogateescape', newline=''))
        table.writerow(['image_id', 'file', 'label', 'class', 'score', 'x0', 'y0', 'x1', 'y1'])
        writers = [files.enter_context(kind(open_file(f'{name}.json'), class_names))
                   for name, kind in dict(FILE_FORMATS, annotations=coco).items()
                   if name in (*formats, 'annotations')]
        writers += [kind(Path(format_folder or folder, name), class_names)
                    for name, kind in FOLDER_FORMATS.items() if name in formats]
        add_row = None
        if find_spec('pyarrow'):
            add_row = files.enter_context(_parquet_table(open_file(PARQUET, 'wb')))
        for image in images:
            number, name = image['sample_idx'], image['img_path']
            if 'left_out' in image:
                numbers['left_out'] += 1
                add_left_out(dict(image_id=number, file_name=name, reason=image['left_out']))
                continue
            numbers['localized'] += 1
            label, score = image['pred_label'], image['pred_score']
            found = [Annotation(label, score, **each)
                     for each in image.get('instances', [dict(box=image['pred_box'])])]
            for each in found:
                add_prediction(coco_result(image, each))
                table.writerow(map(spreadsheet_cell, [
                    number, name, label, image.get('pred_class', ''), f'{score:.4f}', *each.box]))
                if add_row:
                    add_row(image, each.box)
            if top_k > 1:
                found = [*map(Annotation, image['top_labels'][:top_k], image['top_scores'],
                              image['top_boxes'])]
            found = [each for each in found if each.score >= min_score and min(each.bbox[2:]) > 0]
            numbers['boxes'] += len(found)
            if found:
                for write in writers:
                    write(image, found)
    outdated = [f'{name}.json' for name in FILE_FORMATS if name not in formats]
    outdated += [] if add_row else [PARQUET]
    for name in outdated:  # from an earlier run
        (folder / name).unlink(missing_ok=True)
    return numbers


@contextmanager
def _parquet_table(file):
    """A function that adds a row to a table as ``predictions.csv``, with width and height."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(dict(
        image_id='int64', file='string', label='int32', **{'class': 'string'}, score='float32',
        **dict.fromkeys(('x0', 'y0', 'x1', 'y1', 'width', 'height'), 'int32')).items())
    rows = []

    def add(image, box):
        # bytes of file names that are not valid text are escaped, as \\xfc
        name = image['img_path'] and image['img_path'].encode(
            'utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
        height, width = image['ori_shape']
        rows.append((image['sample_idx'], name, image['pred_label'], image.get('pred_class'),
                     image['pred_score'], *box, width, height))
        if len(rows) == ROW_GROUP:
            flush()

    def flush():
        if rows:
            writer.write_table(pyarrow.table([*zip(*rows, strict=True)], schema=schema))
            rows.clear()

    with parquet.ParquetWriter(file, schema) as writer:
        yield add
        flush()
