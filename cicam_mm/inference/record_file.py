"""The list of images on the disk, so that no process holds millions of names."""
import hashlib
import json
from array import array
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cicam_mm.errors import UserError

from .record import Record


def write_records(path: Path, records: Iterable[Record]) -> dict:
    """Write a list of images, one JSON array a line.

    Args:
        path (Path): The file.
        records (Iterable[Record]): The images, taken one after the other.

    Returns:
        dict: ``count`` and ``sha256`` of the list.

    Raises:
        UserError: If some images have labels and some have none.
    """
    digest, count, labelled = hashlib.sha256(), 0, set()
    with open(path, 'wb') as file:
        for record in records:
            line = json.dumps(record).encode() + b'\n'
            file.write(line)
            digest.update(line)
            count += 1
            if not record.problem:
                labelled.add(record.label is not None)
            if len(labelled) == 2:
                raise UserError(f'image {count}, {record.name!r}, and those before it differ in '
                                'whether they have a label; give labels for all or for none.')
    return dict(count=count, sha256=digest.hexdigest())


class RecordBatches:
    """Batches of a list of images, read when asked for.

    Args:
        path (Path): What :func:`write_records` wrote.
        size (int): Images of a batch; the last one may be smaller.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        self.size = size
        self._starts = array('q')
        with open(path, 'rb') as file:
            position = 0
            for index, line in enumerate(file):
                if index % size == 0:
                    self._starts.append(position)
                position += len(line)

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, number: int) -> list[tuple[int, Record]]:
        """The images of a batch, each with its place in the list."""
        with open(self.path, 'rb') as file:
            file.seek(self._starts[number])
            return [(index, Record(*json.loads(line)))
                    for index, line in enumerate(islice(file, self.size), number * self.size)]
