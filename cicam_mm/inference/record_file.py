"""The list of images in a file, so that no process holds millions of names in memory."""
import hashlib
import json
from array import array
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cicam_mm.errors import UserError

from .record import Record


def write_records(path: Path, records: Iterable[Record]) -> dict:
    """Write a list of images, one JSON array per line.

    Args:
        path (Path): The file.
        records (Iterable[Record]): The images.

    Returns:
        dict: ``count`` and ``sha256`` of the list.

    Raises:
        UserError: If only some of the images have labels.
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
                raise UserError(f'only some of the images up to number {count}, {record.name!r}, '
                                'have a label; give labels for all images or for none.')
    return dict(count=count, sha256=digest.hexdigest())


class RecordBatches:
    """Batches of a list of images, read on demand.

    Args:
        path (Path): A file from :func:`write_records`.
        size (int): Images per batch; the last batch may be smaller.
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
        """The images of a batch, each with its index in the list."""
        with open(self.path, 'rb') as file:
            file.seek(self._starts[number])
            return [(index, Record(*json.loads(line)))
                    for index, line in enumerate(islice(file, self.size), number * self.size)]
