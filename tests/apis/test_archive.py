import gzip
import io
import os
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from cicam_mm.apis.inputs import is_archive, list_archive
from cicam_mm.utils.errors import UserError


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture
def write_tar(tmp_path):
    def write_tar(files, *more):
        path = tmp_path / 'a.tar'
        with tarfile.open(path, 'w') as archive:
            for name, content in (*files.items(), *more):
                member = tarfile.TarInfo(name)
                if isinstance(content, bytes):
                    member.size = len(content)
                else:
                    member.type, member.linkname = content
                archive.addfile(member, io.BytesIO(content if member.size else b''))
        return str(path)
    return write_tar


def listed(path):
    return [*list_archive(path, lambda text, place: int(text))]


def test_samples_with_and_without_class(write_tar):
    path = write_tar({
        'birds/01.cls': b'3\n', 'birds/01.PNG': png(1), 'birds/01.json': b'{}',
        'birds/02.seg.png': png(9), 'birds/02.png': png(2), 'birds/02.cls': b'0',
        'fish/02.png': png(3), '._fish.png': b'resource fork'})
    records = listed(path)
    assert [(record.name.removeprefix(f'{path}/'), record.label) for record in records] == [
        ('birds/01.PNG', 3), ('birds/02.png', 0), ('fish/02.png', None)]
    assert [record.read()[0][0, 0, 0] for record in records] == [1, 2, 3]
    assert records[0].read()[0].shape == (4, 5, 3)


def test_nothing_to_localize(write_tar):
    record, = listed(write_tar({'01.txt': b'a bird', '01.json': b'{}'}))
    assert record.problem == f"'{record.path}/01' holds no image, only 01.txt, 01.json."
    with pytest.raises(OSError, match=re.escape(record.problem)):
        record.read()
    for files in {}, {'.hidden': b'', 'folder': (tarfile.DIRTYPE, '')}:
        record, = listed(write_tar(files))
        assert record.problem == f"the archive '{record.path}' holds no file; check it."


def test_damaged_archives_give_what_they_can(write_tar, tmp_path):
    path = write_tar({'1.png': png(1), '2.png': png(2)})
    with open(path, 'r+b') as file:
        file.truncate(3 * 512 + 20)  # header, padded image, header, part of an image
    first, second, rest = listed(path)
    assert first.read()[0][0, 0, 0] == 1
    for record in (second, rest):
        with pytest.raises(OSError, match=r'a.tar.* cannot be read'):
            record.read()

    path = write_tar({'1.png': png(1), '1.cls': b'3' * 3000})
    with open(path, 'r+b') as file:
        file.truncate(4 * 512)  # header, image, header, part of the class
    assert ['cannot be read completely' in record.problem for record in listed(path)] == [True]

    packed = tmp_path / 'b.tar.gz'
    packed.write_bytes(gzip.compress(b'no matter'))
    os.mkfifo(tmp_path / 'c.tar')
    for name, problem in ('b.tar.gz', "b.tar.gz' cannot be read.*without compression"), (
            'lost.tar', 'cannot be read.*No such file'), ('c.tar', 'not a regular file'):
        assert is_archive(name)
        record, = listed(str(tmp_path / name))
        assert re.search(problem, record.problem)
    assert is_archive('A.TAR') and not is_archive('tar.jpg')


def test_an_unknown_class_costs_no_other_image(write_tar):
    def to_label(text, place):
        if text == '99':
            raise UserError(f'{place}: no class.')
        return int(text)

    files = {f'{number}.{kind}': content for number in range(4) for kind, content in (
        ('png', png(number)), ('cls', b'99' if number == 1 else b'2'))}
    path = write_tar(files, ('3.cls', b'1'))
    assert [(record.name, record.label, record.problem) for record in list_archive(
        path, to_label)] == [
            (f'{path}/0.png', 2, None), (f'{path}/1.png', None, f'{path}/1.cls: no class.'),
            (f'{path}/2.png', 2, None),
            (f'{path}/3.png', None, f"'{path}/3.png' has 2 classes; leave one.")]


# of ten images, each a header and 512 bytes, 10,240 bytes of data and 10,240 of the end
DAMAGES = {
    'flipped bit in a header': (4096, lambda whole: whole.replace(b'4.png', b'5.png', 1)),
    'cut inside a header': (4096, lambda whole: whole[:4096 + 200]),
    'hole of zeros': (4096, lambda whole: whole[:4096] + bytes(2048) + whole[6144:]),
    'one archive after the other': (10240, lambda whole: whole + whole),
}


@pytest.mark.parametrize(('end', 'damage'), DAMAGES.values(), ids=DAMAGES)
def test_damage_that_tarfile_takes_for_the_end(write_tar, end, damage):
    path = write_tar({f'{number}.png': png(number) for number in range(10)})
    with open(path, 'rb') as file:
        whole = file.read()
    assert whole[4096:4101] == b'4.png' and len(listed(path)) == 10
    with open(path, 'wb') as file:
        file.write(damage(whole))
    *images, rest = listed(path)
    assert [record.name for record in images] == [
        f'{path}/{number}.png' for number in range(end // 1024)]
    assert rest.problem == (
        f'{path!r} cannot be read completely: after {end:,} bytes there is neither another file '
        'nor the end of an archive; an archive must be one intact tar file without compression.')


def test_every_further_image_and_every_link_is_named(write_tar):
    path = write_tar(
        {'a.jpg': png(1), 'a.png': png(2), 'b.png': png(3)}, ('b.png', png(4)),
        ('c.png', (tarfile.LNKTYPE, 'a.jpg')), ('d.png', (tarfile.SYMTYPE, '../d.png')),
        ('e.png', png(5)), ('e.cls', (tarfile.LNKTYPE, 'a.cls')), ('e.json', (
            tarfile.SYMTYPE, 'x')))
    found = [(record.name.removeprefix(f'{path}/'), record.problem and record.problem.partition(
        f'{path}/')[2].partition(';')[0]) for record in listed(path)]
    assert found == [
        ('a.jpg', None),
        ('a.png', "a.png' is not the first image of its sample, which is 'a.jpg'"),
        ('b.png', None),
        ('b.png', "b.png' is not the first image of its sample, which is 'b.png'"),
        ('c.png', "c.png' is a link to 'a.jpg', which cannot be read"),
        ('d.png', "d.png' is a link to '../d.png', which cannot be read"),
        ('e.png', "e.cls' is a link to 'a.cls', which cannot be read")]
    assert listed(path)[2].read()[0][0, 0, 0] == 3


def test_a_link_that_has_a_size_costs_no_other_image(tmp_path):
    """As POSIX allows, and some programs write; its content is that of the other file."""
    with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
        for name, kind in ('a.png', tarfile.LNKTYPE), ('b', tarfile.DIRTYPE):
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, 10**6
            archive.addfile(member)
        member = tarfile.TarInfo('c.png')
        archive.addfile(member)
    link, image = listed(tmp_path / 'a.tar')
    assert 'not a plain file' in link.problem
    assert (image.member, image.problem) == ('c.png', None)


def test_members_that_are_giants(tmp_path):
    """A sparse archive: an image of 8 GiB, and the name of a class of 1 GiB."""
    image, name = tarfile.TarInfo('1.png'), tarfile.TarInfo('1.cls')
    image.size, name.size = 2**33, 2**30
    with open(tmp_path / 'a.tar', 'wb') as file:
        for member in (image, name):
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.seek(member.size, os.SEEK_CUR)
        file.write(bytes(1024))
    record, = list_archive(str(tmp_path / 'a.tar'), lambda text, place: len(text))
    assert record.label < 2**17
    with pytest.raises(OSError, match="a.tar/1.png' cannot be read: it has 8,589,934,592 bytes"):
        record.read()


@pytest.mark.parametrize(('kind', 'size'), [
    (tarfile.XHDTYPE, 6 * 2**30), (tarfile.GNUTYPE_LONGNAME, 2**70)])
def test_headers_are_bounded(tmp_path, bounded_memory, kind, size):
    """A hostile archive ends neither the run nor the machine's memory."""
    header = tarfile.TarInfo('x')
    header.type, header.size = kind, size
    with open(tmp_path / 'a.tar', 'wb') as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.truncate(7 * 2**30)
    with bounded_memory(2**28):
        record, = listed(str(tmp_path / 'a.tar'))
    assert 'cannot be read completely: ' in record.problem


def sparse(realsize, blocks):
    """A member that its extended header calls sparse, and the list of its blocks."""
    member = tarfile.TarInfo('a.png')
    member.size = 512
    member.pax_headers = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0',
                          'GNU.sparse.name': 'a.png', 'GNU.sparse.realsize': realsize}
    return member.tobuf(tarfile.PAX_FORMAT) + blocks.ljust(512, b'\0')


def nested():
    """Extended headers one in the other, more than Python can follow."""
    header = tarfile.TarInfo('x')
    header.type = tarfile.XHDTYPE
    return header.tobuf(tarfile.GNU_FORMAT) * 3000


@pytest.mark.parametrize('content', [sparse('99', b'many\n'), sparse('99', b'-1\n'), nested()],
                         ids=['blocks', 'negative', 'nested'])
def test_malformed_headers_are_the_problem_of_their_archive(tmp_path, write_tar, content):
    with open(write_tar({'1.png': png(1)}), 'rb') as file:
        image = file.read(1024)
    path = tmp_path / 'b.tar'
    path.write_bytes(image + content + bytes(10240))
    first, problem = listed(str(path))
    assert first.read()[0][0, 0, 0] == 1 and problem.problem
