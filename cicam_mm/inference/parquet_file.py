from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cicam_mm.files import open_atomically

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
