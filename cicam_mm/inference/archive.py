"""Reading images in tar archives of the WebDataset layout, without extracting them."""
import tarfile
from collections.abc import Callable, Iterator
from itertools import groupby

from PIL import Image

from cicam_mm.errors import UserError
from cicam_mm.files import check_regular

from .record import Record

IMAGES = Image.registered_extensions()
#: Most bytes that are read of the name of a class.
MAX_CLASS = 2**12


def is_archive(path: str) -> bool:
    """Whether the extension of a path is that of a tar archive."""
    return path.lower().endswith(('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz'))


def list_archive(path: str, to_label: Callable[[str, str], int | None]) -> Iterator[Record]:
    """List the images of an archive in the WebDataset layout, in their order.

    Consecutive files whose names agree up to the first dot are one sample: its image (``.jpg``,
    ``.png``, ...) and optionally its class (``.cls``), a number or a name as text. Only headers
    are read, so this is fast for large archives, too.

    Args:
        path (str): The archive, not compressed.
        to_label (Callable): Converts the text of a class, given with its location, to a label.

    Yields:
        Record: An image; for a sample without one, or a damaged archive, a record whose
        ``problem`` says so.
    """
    errors = []
    try:
        check_regular(path)
        with tarfile.open(path, 'r:') as archive:
            for key, members in groupby(_files(archive, errors), key=_key):
                yield _to_record(path, archive, key, [*members], to_label)
    except (tarfile.TarError, OSError, UserError) as error:
        errors.append(error)
    for error in errors:
        yield Record(path, problem=f'{path!r} cannot be read completely: {error}; an archive must '
                     'be an intact tar file without compression.')


def _files(archive, errors):
    try:
        for member in iter(archive.next, None):
            archive.members.clear()  # otherwise the archive keeps them all in memory
            if member.isfile() and not member.name.rpartition('/')[2].startswith('.'):
                yield member
    except tarfile.TarError as error:  # samples before it are still used
        errors.append(error)


def _key(member):
    folder, slash, name = member.name.rpartition('/')
    return folder + slash + name.partition('.')[0]


def _to_record(path, archive, key, members, to_label):
    files = {member.name.removeprefix(f'{key}.').lower(): member for member in members}
    image = next((file for kind, file in files.items() if f'.{kind}' in IMAGES), None)
    if image is None:
        return Record(path, member=key, problem=f'{f"{path}/{key}"!r} holds no image, only '
                      f'{", ".join(file.name for file in members)}.')
    label = None
    if 'cls' in files:
        text = archive.extractfile(files['cls']).read(MAX_CLASS).decode(errors='replace').strip()
        label = to_label(text, f'{path}/{files["cls"].name}')
    return Record(path, label, image.name, image.offset_data, image.size)
