"""Files of partial results: each rank appends to its own, and all are merged at the end."""
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from cicam_mm.errors import UserError
from cicam_mm.files import check_regular
from cicam_mm.finite_json import to_json

#: Most bytes of a line.
MAX_LINE = 2**28


class PartFile:
    """Appends batches to a new file, one line with a checksum each, as soon as they are there.

    A process that is killed leaves complete lines and possibly a partial one, which
    :func:`read_part` skips.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path):
        self._file = open(path, 'xb')

    def append(self, number: int, images: list[dict]) -> None:
        """Append the results of a batch of images.

        Raises:
            OSError: If the disk is full; earlier lines are kept.
        """
        content = to_json([number, images]).encode()
        self._file.write(b'%08x %s\n' % (zlib.crc32(content), content))
        self._file.flush()

    def __enter__(self) -> 'PartFile':
        return self

    def __exit__(self, *error) -> None:
        self._file.close()


def read_part(path: Path) -> Iterator[tuple[int, list[dict]]]:
    """Complete batches of a file, in the order they were added: number and images.

    Raises:
        UserError: If a line is damaged; one that is not complete is passed over.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        for number, line in enumerate(iter(partial(file.readline, MAX_LINE), b''), 1):
            checksum, _, content = line[:-1].partition(b' ')
            if not line.endswith(b'\n'):
                continue
            if checksum != b'%08x' % zlib.crc32(content):
                raise UserError(f'{path}, line {number} is damaged; delete the file and continue '
                                'with --resume, which localizes its images again.')
            yield json.loads(content)


def merge_parts(paths: Iterable[Path]) -> Iterator[dict]:
    """The images of all files in the order of their batches; holds one line per file in memory.

    Args:
        paths (Iterable[Path]): Files, in each of which the batches are in ascending order.
    """
    parts = map(read_part, paths)
    for _, images in heapq.merge(*parts, key=lambda batch: batch[0]):
        yield from images
