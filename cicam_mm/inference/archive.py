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
#: Most zero bytes at the end of an archive: two blocks, padded to a record of any usual size.
MAX_PADDING = 2**20


def is_archive(path: str) -> bool:
    """Whether the extension of a path is that of a tar archive."""
    return path.lower().endswith(('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz'))


def list_archive(path: str, to_label: Callable[[str, str], int | None]) -> Iterator[Record]:
    """List the images of an archive in the WebDataset layout, in their order.

    Consecutive files whose names agree up to the first dot are one sample: its image (``.jpg``,
    ``.png``, ...) and optionally its class (``.cls``), a number or a name as text. Hidden files
    are left out. Only headers are read, so this is fast for large archives, too.

    Args:
        path (str): The archive, not compressed.
        to_label (Callable): Converts the text of a class, given with its location, to a label;
            raises a UserError for a text that is none.

    Yields:
        Record: An image; where there is something that cannot be used (a sample without an image
        or with a class that is none, a second image of a sample, a link, a damaged or empty
        archive), a record whose ``problem`` says so.
    """
    errors, is_empty = [], True
    try:
        check_regular(path)
        with tarfile.open(path, 'r:') as archive:
            for key, members in groupby(_members(archive, errors), key=_key):
                yield from _to_records(path, archive, key, [*members], to_label)
                is_empty = False
    except (tarfile.TarError, OSError, UserError) as error:
        errors.append(error)
    for error in errors:
        yield Record(path, problem=f'{path!r} cannot be read completely: {error}; an archive must '
                     'be one intact tar file without compression.')
    if is_empty and not errors:
        yield Record(path, problem=f'the archive {path!r} holds no file; check it.')


def _members(archive, errors):
    """All members except folders and hidden files."""
    try:
        for member in iter(archive.next, None):
            archive.members.clear()  # otherwise the archive keeps them all in memory
            if not member.isdir() and not member.name.rpartition('/')[2].startswith('.'):
                yield member
        _check_end(archive)
    except tarfile.TarError as error:  # samples before it are still used
        errors.append(error)


def _check_end(archive):
    """Tell the end of an archive, which is zeros, from damage, where tarfile stops as well."""
    archive.fileobj.seek(archive.offset)
    rest = archive.fileobj.read(MAX_PADDING + 1)
    if not rest or len(rest) > MAX_PADDING or rest.strip(b'\0'):
        raise tarfile.ReadError(f'after {archive.offset:,} bytes there is neither another file '
                                'nor the end of an archive')


def _key(member):
    folder, slash, name = member.name.rpartition('/')
    return folder + slash + name.partition('.')[0]


def _to_records(path, archive, key, members, to_label):
    """The image of a sample, and a problem for each further one."""
    kinds = [member.name.removeprefix(f'{key}.').lower() for member in members]
    images = [member for member, kind in zip(members, kinds, strict=True) if f'.{kind}' in IMAGES]
    classes = [member for member, kind in zip(members, kinds, strict=True) if kind == 'cls']
    if not images:
        yield Record(path, member=key, problem=f'{f"{path}/{key}"!r} holds no image, only '
                     f'{", ".join(member.name for member in members)}.')
        return
    yield _to_record(path, archive, images[0], classes, to_label)
    for image in images[1:]:
        yield Record(path, member=image.name, problem=f'{f"{path}/{image.name}"!r} is not the '
                     f'first image of its sample, which is {images[0].name!r}; give each a name '
                     'of its own up to the first dot.')


def _to_record(path, archive, image, classes, to_label):
    label = None
    try:
        for member in (image, *classes):
            _check_plain(path, member)
        if len(classes) > 1:
            raise UserError(f'{f"{path}/{image.name}"!r} has {len(classes)} classes; leave one.')
        for member in classes:
            text = archive.extractfile(member).read(MAX_CLASS).decode(errors='replace').strip()
            label = to_label(text, f'{path}/{member.name}')
    except UserError as error:
        return Record(path, member=image.name, problem=str(error))
    except tarfile.TarError as error:
        return Record(path, member=image.name, problem=f'the class of '
                      f'{f"{path}/{image.name}"!r} cannot be read: {error}.')
    return Record(path, label, image.name, image.offset_data, image.size)


def _check_plain(path, member):
    if not member.isreg() or member.issparse():
        kind = f'a link to {member.linkname!r}' if member.linkname else 'no plain file'
        raise UserError(f'{f"{path}/{member.name}"!r} is {kind}, which cannot be read; store the '
                        'file itself (tar --dereference --hard-dereference).')
