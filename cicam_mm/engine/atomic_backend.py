from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from cicam_mm.files import write_atomically


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
        try:
            write_atomically(filepath, obj, sync=True)
        except OSError as error:
            raise OSError(
                error.errno,
                f'the checkpoint {error.strerror} ({len(obj) / 2**20:.0f} MB); those before it '
                'are untouched, so mend this and go on with --resume') from error
