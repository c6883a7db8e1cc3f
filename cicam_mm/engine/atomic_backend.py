import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that appear complete or not at all.

    Chosen with ``CheckpointHook(backend_args=dict(backend='atomic'))``: whatever interrupts the
    writing of a checkpoint, what was under its name before is still there.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write under a temporary name, onto the disk, then rename.

        Args:
            obj (bytes): Content of the file.
            filepath (str or Path): Its path; missing folders are made.

        Raises:
            OSError: The file cannot be written, for instance on a full disk; nothing of it stays.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'{path.name}.part')
        try:
            with part.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f'{error.strerror}: the checkpoint {path} ({len(obj) / 2**20:.0f} MB) was not '
                'written; those before it are untouched, so mend this and go on with --resume'
            ) from error
