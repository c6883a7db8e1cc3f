"""Batches of images that worker processes read, decode and prepare."""
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import DataLoader, Dataset

from cicam_mm.apis.preparation import collate, prepare
from cicam_mm.datasets.reduced_decoding import MAX_PIXELS
from cicam_mm.visualization import reduce_to_draw

from .record_file import RecordBatches

#: Seconds to wait for a server that does not respond.
TIMEOUT = 60


@dataclass
class PreparedBatch:
    """A batch of the list of images.

    Attributes:
        number: Its number.
        data: What the network takes; None if no image can be read.
        pictures: Images to draw on by their place in the list, see :func:`reduce_to_draw`.
        left_out: Those that cannot be used: ``sample_idx``, ``img_path`` and why, ``left_out``.
    """
    number: int
    data: dict | None = None
    pictures: dict[int, np.ndarray] = field(default_factory=dict)
    left_out: list[dict] = field(default_factory=list)


class PreparedBatches(Dataset):
    """All batches of a list of images; independent of the process that loads them.

    Args:
        records (RecordBatches): The list.
        pipeline (Callable): The test pipeline without the transform that loads images.
        is_drawn (Callable): Tells of a place in the list whether its image is to be drawn.
        max_pixels (int): Most pixels of a decoded image. Defaults to 89,478,485.
    """

    def __init__(self, records: RecordBatches, pipeline: Callable[[dict], dict],
                 is_drawn: Callable[[int], bool], max_pixels: int = MAX_PIXELS):
        self._records = records
        self._pipeline = pipeline
        self._is_drawn = is_drawn
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> PreparedBatch:
        batch, prepared = PreparedBatch(number), []
        for index, record in self._records[number]:
            info = dict(sample_idx=index, img_path=record.name)
            label = {} if record.label is None else dict(gt_label=record.label)
            try:
                with _timeout():
                    image, ori_shape = record.read(self._max_pixels)
                prepared.append(self._prepare(image, ori_shape, **info, **label))
            except OSError as error:
                batch.left_out.append(dict(info, left_out=str(error)))
                continue
            if self._is_drawn(index):
                batch.pictures[index] = reduce_to_draw(image)
        if prepared:
            batch.data = collate(prepared)
        return batch

    def _prepare(self, image, ori_shape, **info):
        try:
            return prepare(self._pipeline, image, ori_shape, **info)
        except Exception as error:  # transforms can raise anything for unusual sizes
            height, width = ori_shape
            raise OSError(f'the test pipeline fails on {info["img_path"]!r} of {width} x {height} '
                          f'pixels: {type(error).__name__}: {error}') from error


def load(batches: PreparedBatches, numbers: Sequence[int], workers: int
         ) -> Iterator[PreparedBatch]:
    """Load some of the batches in the given order, prepared ahead by worker processes.

    Args:
        batches (PreparedBatches): All batches.
        numbers (Sequence[int]): Numbers of the batches to load.
        workers (int): Number of worker processes; 0 means this process.
    """
    workers = min(workers, len(numbers))
    return iter(DataLoader(
        batches, batch_size=None, sampler=numbers, collate_fn=_as_it_is, num_workers=workers,
        multiprocessing_context='fork' if workers else None))  # mmengine's default


def _as_it_is(batch):
    return batch


@contextmanager
def _timeout():
    """Do not wait for a server for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
