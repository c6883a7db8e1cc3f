import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from cicam_mm.inference.archive import is_archive, list_archive


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture
def write_tar(tmp_path):
    def write_tar(files):
        path = tmp_path / 'a.tar'
        with tarfile.open(path, 'w') as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
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


def test_sample_without_image_is_named(write_tar):
    record, = listed(write_tar({'01.txt': b'a bird', '01.json': b'{}'}))
    with pytest.raises(OSError, match=r"a.tar/01' holds no image, only 01.txt, 01.json"):
        record.read()


def test_damaged_archives_give_what_they_can(write_tar, tmp_path):
    path = write_tar({'1.png': png(1), '2.png': png(2)})
    with open(path, 'r+b') as file:
        file.truncate(3 * 512 + 20)  # header, padded image, header, part of an image
    first, second, rest = listed(path)
    assert first.read()[0][0, 0, 0] == 1
    for record in (second, rest):
        with pytest.raises(OSError, match=r'a.tar.* cannot be read'):
            record.read()

    packed = tmp_path / 'b.tar.gz'
    packed.write_bytes(gzip.compress(b'no matter'))
    assert is_archive(str(packed)) and is_archive('A.TAR') and not is_archive('tar.jpg')
    record, = listed(str(packed))
    with pytest.raises(OSError, match=r"b.tar.gz' cannot be read.*without compression"):
        record.read()
    record, = listed('lost.tar')
    assert "'lost.tar' cannot be read" in record.problem


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.tar')
    record, = list_archive(str(tmp_path / 'a.tar'), to_label=None)
    assert 'not a regular file' in record.problem


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
    assert record.label < 2**13
    with pytest.raises(OSError, match="a.tar/1.png' cannot be read: it has 8,589,934,592 bytes"):
        record.read()
