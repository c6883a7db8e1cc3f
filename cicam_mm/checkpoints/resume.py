"""Finding the checkpoint to resume a training from."""
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from .loading import NO_CHECKPOINT, find_damage, has_checksums

_RESUMABLE = re.compile(r'(epoch|iter)_\d+\.pth')  # best_*.pth lack the optimizer


def find_resumable(work_dir: str | Path) -> Path | None:
    """The latest intact checkpoint of a training, or None.

    This is the one that ``last_checkpoint`` names or, if that is damaged or missing, the newest of
    the others. Each damaged checkpoint causes a warning.
    """
    for path in _candidates(Path(work_dir)):
        try:
            damage = find_damage(path) if has_checksums(path) else NO_CHECKPOINT
        except (OSError, ValueError) as error:  # the latter for pipes, and a path with '\\0'
            damage = f'it cannot be read ({error})'
        if damage is None:
            return path
        print_log(f'The checkpoint {path} is skipped: {damage}.', 'current', logging.WARNING)
    return None


def _candidates(work_dir: Path) -> Iterator[Path]:
    pointer, folders, last = work_dir / 'last_checkpoint', {work_dir}, None
    if pointer.is_file() and (text := pointer.read_text(errors='replace').strip()):
        last = Path(text)
        folders.add(last.parent)  # CheckpointHook's out_dir may be another folder
        yield last
    others = {path for folder in folders if folder.is_dir() for path in folder.iterdir()
              if _RESUMABLE.fullmatch(path.name) and path.is_file()} - {last}
    yield from sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True)
