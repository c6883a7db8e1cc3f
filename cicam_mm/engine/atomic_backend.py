from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from cicam_mm.files import write_atomically


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Writes local files atomically: each appears complete or not at all.

    Use it with ``CheckpointHook(backend_args=dict(backend='atomic'))``: if the writing of a
    checkpoint is interrupted, an existing file of that name is unchanged.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write to a temporary name, flush to the disk, then rename.

        Args:
            obj (bytes): Content of the file.
            filepath (str or Path): Its path; missing folders are created.

        Raises:
            OSError: If the file cannot be written, for instance because the disk is full; no
                partial file remains.
        """
        try:
            write_atomically(filepath, obj, sync=True)
        except OSError as error:
            raise OSError(
                error.errno,
                f'the checkpoint {error.strerror} ({len(obj) / 2**20:.0f} MB); earlier ones are '
                'unchanged, so fix this and continue with --resume') from error
