"""The folder of a run: its progress and its identity."""
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np

from cicam_mm.errors import UserError
from cicam_mm.files import open_atomically
from cicam_mm.finite_json import read_json_mapping, to_json

from .part_file import PartFile, read_part
from .record import Record
from .record_file import write_records
from .result_files import RESULTS

#: Names of pictures, and of what file managers and file systems leave beside them.
PICTURE = re.compile(r'\d{5,}(_.*)?\.png|\..*', re.DOTALL)


class RunFolder:
    """The folder for results, with the progress of a run in ``unfinished/`` below it.

    Files of an earlier run, and its pictures in ``pictures/``, remain until all images are done.

    Args:
        path (Path): The folder, created if missing.

    Attributes:
        records (Path): The list of images of an unfinished run.
        pictures (Path): The folder for the pictures of an unfinished run.

    Raises:
        UserError: If the folder cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._unfinished = path / 'unfinished'
        self.records = self._unfinished / 'inputs.jsonl'
        self.pictures = self._unfinished / 'pictures'
        self._listed = self._unfinished / 'inputs.new'
        self._identity = self._unfinished / 'run.json'
        self._finished = path / 'run.json'
        self._finished_pictures = path / 'pictures'
        self._kind_of = lru_cache(128)(self._kind_of)  # files of a folder come one by one
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._lock = open(self._unfinished / 'lock', 'w+')
        except OSError as error:
            raise UserError(f'{str(path)!r} cannot be written: {error.strerror}; choose another '
                            'folder with --out.') from error

    def begin(self, records: Iterable[Record], identity: dict, resume: bool) -> int | None:
        """List the images, and start or resume their run unless it is finished.

        Args:
            records (Iterable[Record]): The images.
            identity (dict): Everything besides the images that identifies the run.
            resume (bool): Whether to resume an earlier run.

        Returns:
            int | None: Number of images; None if the run is finished.

        Raises:
            UserError: If another run uses the folder, or left it unfinished and ``resume`` is
                False, or the run to resume is a different one, or ``pictures/`` holds other
                files, which a new run would remove.
        """
        self._take_lock()
        try:
            count = self._begin(records, identity, resume)
        finally:
            self._listed.unlink(missing_ok=True)
            if not self._identity.exists():
                shutil.rmtree(self._unfinished)
        self.join()
        return count

    def owns(self, file: str) -> bool:
        """Whether a file is a result of a run here, or part of an unfinished one."""
        folder, name = os.path.split(file)
        kind = self._kind_of(folder)
        return kind == 'below' or kind == 'self' and name.removesuffix('.part') in (
            *RESULTS, self._finished.name)

    def join(self) -> None:
        """Keep other runs from starting in the folder while this process is alive."""
        # a POSIX lock, because forked processes do not inherit it
        fcntl.lockf(self._lock, fcntl.LOCK_SH)

    def remaining(self, num_batches: int) -> list[int]:
        """Numbers of the batches that are not done yet."""
        done = np.zeros(num_batches, bool)
        for part in self.parts:
            for number, _ in read_part(part):
                done[number] = True
        return np.flatnonzero(~done).tolist()

    @property
    def parts(self) -> list[Path]:
        """Files of finished batches, in each of which the batches are in ascending order."""
        return sorted(self._unfinished.glob('rank*.jsonl'))

    def new_part(self, rank: int) -> PartFile:
        """Create a file for the next batches of a rank."""
        paths = (self._unfinished / f'rank{rank}.{attempt}.jsonl' for attempt in count())
        return PartFile(next(path for path in paths if not path.exists()))

    def finish(self, summary: dict) -> None:
        """Leave nothing but results, and ``run.json`` with identity and summary of the run.

        Raises:
            UserError: If ``pictures/`` holds other files, which would be removed.
        """
        if self.pictures.exists():  # or a run that was killed here had moved it already
            self._check_pictures()
            if self._finished_pictures.exists():
                shutil.rmtree(self._finished_pictures)
            if any(self.pictures.iterdir()):
                os.replace(self.pictures, self._finished_pictures)
        identity = read_json_mapping(self._identity)
        self._write(self._identity, dict(identity, summary=summary))
        os.replace(self._identity, self._finished)
        shutil.rmtree(self._unfinished)

    def summary(self) -> dict:
        """What :meth:`finish` was given by the run that is finished."""
        return read_json_mapping(self._finished)['summary']

    def _take_lock(self):
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(f'another run is using {str(self.path)!r}; wait for it, or choose '
                            'another folder with --out.') from error

    def _begin(self, records, identity, resume):
        unfinished = self._identity.exists() and any(part.stat().st_size for part in self.parts)
        if unfinished and not resume:
            raise UserError(f'{str(self.path)!r} holds an unfinished run; continue it with '
                            f'--resume, or delete {str(self._unfinished)!r}.')
        inputs = write_records(self._listed, records)
        identity = dict(identity, inputs=inputs)
        earlier = self._identity if unfinished else self._finished
        if resume and earlier.exists():
            self._check(read_json_mapping(earlier), identity)
            if not unfinished:
                return None
        if not unfinished:
            self._check_pictures()
            for part in self.parts:  # empty, or of a run that was killed while finishing
                part.unlink()
            if self.pictures.exists():
                shutil.rmtree(self.pictures)
            self.pictures.mkdir()
        os.replace(self._listed, self.records)  # the same again where a run goes on
        if not unfinished:
            self._write(self._identity, identity)
        return inputs['count']

    def _kind_of(self, folder):
        folder, own = Path(folder).resolve(), self.path.resolve()
        if folder == own:
            return 'self'
        below = (own / self._unfinished.name, own / self._finished_pictures.name)
        return 'below' if any(map(folder.is_relative_to, below)) else None

    def _check_pictures(self):
        """The folder of pictures is replaced as a whole."""
        folder = self._finished_pictures
        if not os.path.lexists(folder):
            return
        is_folder = folder.is_dir() and not folder.is_symlink()
        for path in folder.iterdir() if is_folder else [folder]:
            if not (is_folder and PICTURE.fullmatch(path.name)):
                raise UserError(f'{str(path)!r} is not a picture of an earlier run, and this run '
                                f'would replace {str(folder)!r}; move it, or choose another '
                                'folder with --out.')

    @staticmethod
    def _write(path, content):
        with open_atomically(path) as file:
            file.write(to_json(content, indent=2) + '\n')

    def _check(self, earlier, identity):
        differing = [name for name in identity if earlier.get(name) != identity[name]]
        if differing:
            raise UserError(
                f'{str(self.path)!r} cannot be resumed, because its run had other '
                f'{" and ".join(differing)}; repeat the command of that run with --resume, or '
                'choose another folder with --out.')
