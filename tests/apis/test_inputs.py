import io
import os
import tarfile

import pytest
from mmengine.fileio import LocalBackend, backends

from cicam_mm.apis import write_results
from cicam_mm.apis.inputs import Record, list_inputs
from cicam_mm.utils.errors import UserError

CLASSES = ('wren', '7', 'red, kite')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ('a/1.png', 'a/2.png', 'a/notes.txt', 'b.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'none').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*paths):
    return [*list_inputs(paths, 3, CLASSES)]


def names(*paths):
    return [record.name for record in listed(*paths)]


def test_in_the_order_given_and_twice_if_given_twice():
    assert names('b.png', 'a', 'b.png') == ['b.png', 'a/1.png', 'a/2.png', 'a/notes.txt', 'b.png']
    assert names('a/*.txt', '**/2.*') == ['a/notes.txt', 'a/2.png']


def test_list_of_paths(folder):
    name = os.fsdecode(b'latin \xfc.png')
    (folder / 'list.txt').write_bytes(
        b'\xef\xbb\xbfa/1.png\n\n [*] two blanks  .png\r.png\nlatin \xfc.png\nhttp://h/a.jpg')
    assert names('list.txt') == [
        'a/1.png', ' [*] two blanks  .png\r.png', name, 'http://h/a.jpg']


def test_list_with_labels(folder):
    (folder / 'list.csv').write_text(
        'label,file,score\n2,a/1.png,1\nwren,"a/two\nlines, and a comma.png",1\n'
        '"red, kite",b.png,')
    assert listed('list.csv') == [
        Record('a/1.png', 2), Record('a/two\nlines, and a comma.png', 0), Record('b.png', 2)]
    (folder / 'list.csv').write_text('path\nb.png\n')
    assert listed('list.csv') == [Record('b.png')]


def refused(*paths):
    with pytest.raises(UserError) as error:
        listed(*paths)
    return str(error.value)


def test_nothing_to_list(folder):
    (folder / 'none.txt').touch()
    assert refused('b.png', 'none.txt').startswith("'none.txt': the list is empty")
    for path, sentence in (
            ('http://host/list.csv', 'is an address, but lists and archives must be local files'),
            ('s3://bucket/a.png', 'needs a package'),
            ('gs://bucket/a.png', 'is an address of a kind that mmengine has no file backend')):
        assert refused(path).startswith(f'{path!r} {sentence}')


@pytest.mark.parametrize(('content', 'sentence'), [
    ('name,label\na.png,0\n', "list.csv, line 1: there is no column 'file' or 'path'"),
    ('file,label\n', "'list.csv': the list is empty"),
    ('file,label\n"a\nb",1\nc.png,3\n', "list.csv, line 4: the label '3' is not a class of the "
     "model; give a number from 0 to 2, or a name such as 'wren'"),
    ('file,label\n,1\n', "list.csv, line 2: the column 'file' is empty"),
    ('file\n"' + 3 * f'{"x" * 50_000}\n' + '"\n', 'list.csv, line 4: field larger'),
    ('file\n' + 'x' * 70_000, 'list.csv, line 2: it has 65,536 characters or more, so it is'),
])
def test_malformed_list(folder, content, sentence):
    (folder / 'list.csv').write_text(content)
    assert sentence in refused('list.csv')


@pytest.mark.parametrize(('classes', 'text', 'found'), [
    (('001', '002', '003'), '001', "stands for the classes 0 and 1 of the model, counted from 0"),
    (('001', '002', '003'), '003', 2),     # no number below 3
    (('001', '002', '003'), '0001', 1),
    (('0', '2', '1'), '0', 0),             # both of the same class
    (('0', '2', '1'), '1', 'stands for the classes 1 and 2 '),
    (('0', '2', '1'), '9' * 5000, 'is not a class of the model'),
    (('0', '2', '1'), '\u0662', 'is not a class of the model'),  # a digit of another script
    (('crane', 'wren', 'crane'), 'crane', 'stands for the classes 0 and 2 '),
])
def test_labels_that_can_be_read_in_two_ways(folder, classes, text, found):
    (folder / 'list.csv').write_text(f'file,label\nb.png,{text}\n')
    if isinstance(found, int):
        assert [*list_inputs(['list.csv'], 3, classes)] == [Record('b.png', found)]
    else:
        with pytest.raises(UserError) as error:
            [*list_inputs(['list.csv'], 3, classes)]
        assert str(error.value).startswith("list.csv, line 2: the label '" + text[:90])
        assert len(str(error.value)) < 300
        assert found in str(error.value)


def test_what_the_table_of_results_quotes(folder):
    write_results(folder, [
        dict(sample_idx=i, img_path=name, pred_label=0, pred_class='@x', pred_score=.5,
             ori_shape=(9, 9), pred_box=[0, 0, 1, 1])
        for i, name in enumerate(['=1.png', '-2.png', 'a.png'])], ['@x'])
    table = (folder / 'predictions.csv').read_text()
    assert ",'=1.png,0,'@x," in table and ",a.png,0,'@x" in table
    records = [*list_inputs(['predictions.csv'], 1)]
    assert [record.path for record in records] == ['=1.png', '-2.png', 'a.png']


def test_archives_named_and_in_folders(folder):
    with tarfile.open(folder / 'a' / 'x.tar', 'w') as archive:
        for name, content in (('1.png', b'image'), ('1.cls', b'wren')):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    record, = listed('a/x.tar')
    assert (record.name, record.label) == ('a/x.tar/1.png', 0)
    assert names('a') == ['a/1.png', 'a/2.png', 'a/notes.txt', 'a/x.tar/1.png']


def test_folder_of_a_backend(folder, monkeypatch):
    class Bucket(LocalBackend):
        """A local folder under the name of a remote one."""

        def isdir(self, path):
            return super().isdir(self._local(path))

        def list_dir_or_file(self, path, **options):
            return super().list_dir_or_file(self._local(path), **options)

        def join_path(self, path, *more):
            return '/'.join([path.rstrip('/'), *more])

        def _local(self, path):
            return folder / path.removeprefix('bucket://')

    monkeypatch.setitem(backends.registry_utils.prefix_to_backends, 'bucket', Bucket)
    assert names('bucket://a', 'bucket://b.png') == [
        'bucket://a/1.png', 'bucket://a/2.png', 'bucket://a/notes.txt', 'bucket://b.png']
    assert refused('bucket://none').startswith("'bucket://none': the folder holds no file")
