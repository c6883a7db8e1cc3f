from typing import NamedTuple

import numpy as np

from cicam_mm.apis.images import decode_image, read_image
from cicam_mm.datasets.reduced_decoding import MAX_PIXELS
from cicam_mm.errors import UserError
from cicam_mm.files import MAX_READ


class Record(NamedTuple):
    """One image of the inputs: its location and, if known, its class.

    Attributes:
        path: File, address, or archive.
        label: The class whose box to predict; None for the predicted class.
        member: Name of the file in the archive.
        offset: First byte of the file in the archive.
        size: Size of the file in the archive, in bytes.
        problem: Why there is nothing to read, in one sentence.
    """
    path: str
    label: int | None = None
    member: str | None = None
    offset: int = 0
    size: int = 0
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of the image in the results: its path, or ``ARCHIVE/MEMBER``."""
        return self.path if self.member is None else f'{self.path}/{self.member}'

    def read(self, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
        """Read the image, see :func:`decode_image`.

        Raises:
            OSError: If it cannot be read; the message names it.
        """
        if self.problem:
            raise OSError(self.problem)
        if self.member is None:
            return read_image(self.path, max_pixels)
        return decode_image(self._read_member, self.name, max_pixels)

    def _read_member(self):
        if self.size > MAX_READ:
            raise UserError(f'it has {self.size:,} bytes')
        with open(self.path, 'rb') as archive:
            archive.seek(self.offset)
            return archive.read(self.size)
