"""Results as they come: files that a rank appends to and that are merged in the end."""
import heapq
import json
from collections.abc import Iterable, Iterator
from pathlib import Path


class PartFile:
    """Appends batches to a new file, one line each, as soon as they are there.

    A process that is killed leaves complete lines and maybe the beginning of another one, which
    :func:`read_part` passes over.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path):
        self._file = open(path, 'xb')

    def append(self, number: int, images: list[dict]) -> None:
        """Add what was found in the images of a batch.

        Raises:
            OSError: If the disk is full; the lines before stay.
        """
        self._file.write(json.dumps([number, images]).encode() + b'\n')
        self._file.flush()

    def __enter__(self) -> 'PartFile':
        return self

    def __exit__(self, *error) -> None:
        self._file.close()


def read_part(path: Path) -> Iterator[tuple[int, list[dict]]]:
    """Complete batches of a file, in the order they were added: number and images."""
    with open(path, 'rb') as file:
        for line in file:
            if line.endswith(b'\n'):
                yield json.loads(line)


def merge_parts(paths: Iterable[Path]) -> Iterator[dict]:
    """The images of all files in the order of their batches, with one line a file in memory.

    Args:
        paths (Iterable[Path]): Files whose batches are in ascending order, each.
    """
    parts = map(read_part, paths)
    for _, images in heapq.merge(*parts, key=lambda batch: batch[0]):
        yield from images
