import json
import multiprocessing
import os
import re
import shutil

import pytest

from cicam_mm.apis.batch import RunFolder
from cicam_mm.apis.inputs import Record
from cicam_mm.utils.errors import UserError

RECORDS = [Record(name) for name in 'abcde']
IDENTITY = dict(config='c', checkpoint='d')


@pytest.fixture
def unfinished(tmp_path):
    """The folder of a run that has done batches 0, 2 and 1, the last one cut off."""
    folder = RunFolder(tmp_path)
    assert folder.begin(RECORDS, IDENTITY, False) == 5
    with folder.new_part(0) as first, folder.new_part(1) as second:
        first.append(0, [])
        first.append(2, [])
        second.append(1, [])
    cut = folder._parts[1]
    cut.write_bytes(cut.read_bytes()[:-1])
    return tmp_path


def content(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def test_goes_on_where_it_was(unfinished):
    folder = RunFolder(unfinished)
    assert folder.begin(RECORDS, IDENTITY, True) == 5
    assert folder.remaining(4) == [1, 3]
    with folder.new_part(1) as part:
        part.append(1, [])
    assert folder.remaining(4) == [3] and len(folder._parts) == 3


@pytest.mark.parametrize(('records', 'identity', 'sentence'), [
    (RECORDS[:-1], IDENTITY, 'had other inputs;'),
    (RECORDS[::-1], IDENTITY, 'had other inputs;'),
    (RECORDS, dict(config='C', checkpoint='D'), 'had other config and checkpoint;'),
])
def test_other_runs_are_refused_and_leave_it_alone(unfinished, records, identity, sentence):
    before = content(unfinished)
    with pytest.raises(UserError, match=f'cannot be resumed, because its run {sentence}'):
        RunFolder(unfinished).begin(records, identity, True)
    assert content(unfinished) == before


def test_needs_the_word_to_go_on(unfinished):
    before = content(unfinished)
    with pytest.raises(UserError, match="holds an unfinished run; continue it with --resume"):
        RunFolder(unfinished).begin(RECORDS, IDENTITY, False)
    assert content(unfinished) == before


def test_a_damaged_list_is_written_again(unfinished):
    records = unfinished / 'unfinished' / 'inputs.jsonl'
    whole = records.read_bytes()
    records.write_bytes(whole.replace(b'"c"', b'"x"'))
    RunFolder(unfinished).begin(RECORDS, IDENTITY, True)
    assert records.read_bytes() == whole


@pytest.mark.parametrize('content', ['', '[1]', '{"config": "c"', '\0\0'])
def test_a_damaged_identity_is_told(unfinished, content):
    (unfinished / 'unfinished' / 'run.json').write_text(content)
    with pytest.raises(UserError, match='run.json is damaged'):
        RunFolder(unfinished).begin(RECORDS, IDENTITY, True)


def test_finished(unfinished):
    folder = RunFolder(unfinished)
    folder.begin(RECORDS, IDENTITY, True)
    folder.finish(dict(localized=5))
    assert [path.name for path in unfinished.iterdir()] == ['run.json']
    again = RunFolder(unfinished)
    assert again.begin(RECORDS, IDENTITY, True) is None
    assert again.summary() == dict(localized=5) and not again.records.exists()
    with pytest.raises(UserError, match='other inputs'):
        RunFolder(unfinished).begin(RECORDS[1:], IDENTITY, True)
    # without --resume another run takes its place
    assert RunFolder(unfinished).begin(RECORDS[1:], IDENTITY, False) == 4


def test_killed_while_it_tidied_up(unfinished):
    shutil.move(unfinished / 'unfinished' / 'run.json', unfinished)
    identity = json.loads((unfinished / 'run.json').read_text())
    (unfinished / 'run.json').write_text(json.dumps(dict(identity, summary=dict(localized=5))))
    folder = RunFolder(unfinished)
    assert folder.begin(RECORDS, IDENTITY, False) == 5
    assert folder.remaining(2) == [0, 1] and not folder._parts


@pytest.mark.parametrize('move', ['rmtree', 'replace'])
def test_killed_while_it_moved_pictures(tmp_path, monkeypatch, move):
    """Before and after the new pictures have taken the place of the old ones."""
    def draw(name):
        folder = RunFolder(tmp_path)
        folder.begin(RECORDS, IDENTITY, False)
        with folder.new_part(0) as part:
            part.append(0, [])
        (folder.pictures / name).write_text(name)
        return folder

    draw('00000_old.png').finish({})
    folder = draw('00000_two\nlines.png')
    with monkeypatch.context() as patch:
        patch.setattr(f'cicam_mm.apis.batch.{dict(rmtree="shutil", replace="os")[move]}'
                      f'.{move}', _then_fail(shutil.rmtree if move == 'rmtree' else os.replace))
        with pytest.raises(KeyboardInterrupt):
            folder.finish({})
    folder = RunFolder(tmp_path)
    assert folder.begin(RECORDS, IDENTITY, True) == 5 and folder.remaining(1) == []
    folder.finish({})
    assert {str(name) for name in content(tmp_path)} == {
        'run.json', 'pictures/00000_two\nlines.png'}


def _then_fail(function):
    def called(*args):
        function(*args)
        raise KeyboardInterrupt
    return called


def test_files_of_others_are_not_removed(tmp_path):
    (tmp_path / 'pictures').mkdir()
    photo = tmp_path / 'pictures' / 'IMG_1.png'
    photo.touch()
    with pytest.raises(UserError, match=re.escape(f"'{photo}' is not of an earlier run")):
        RunFolder(tmp_path).begin(RECORDS, IDENTITY, False)
    assert [*content(tmp_path)] == [photo.relative_to(tmp_path)]

    photo.rename(tmp_path / 'pictures' / '.DS_Store')
    folder = RunFolder(tmp_path)
    folder.begin(RECORDS, IDENTITY, False)
    photo.touch()
    with pytest.raises(UserError, match='is not of an earlier run'):
        folder.finish({})
    assert photo.exists() and folder.records.exists()

    shutil.rmtree(photo.parent)
    photo.parent.symlink_to(tmp_path)
    with pytest.raises(UserError, match=re.escape(f"'{photo.parent}' is not of an earlier")):
        folder.finish({})
    assert folder.records.exists()


def test_what_it_owns(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / 'out')
    (tmp_path / 'link').symlink_to('out/unfinished')
    monkeypatch.chdir(tmp_path)
    for name in ('out/unfinished/lock', 'out/pictures/0.png', 'out/unfinished/pictures/0.png',
                 'out/run.json', 'out/.predictions.csv.0123abcd.part', 'link/lock',
                 str(tmp_path / 'out' / 'annotations.json')):
        assert folder.owns(name), name
    for name in ('out/a.png', 'out/photos/pictures/a.png', 'pictures/a.png', 'run.json', 'a.png'):
        assert not folder.owns(name), name


def test_nothing_done_needs_no_protection(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(RECORDS, IDENTITY, False)
    folder.new_part(0)
    assert RunFolder(tmp_path).begin(RECORDS[1:], IDENTITY, False) == 4


def test_a_failing_list_leaves_earlier_results(tmp_path):
    (tmp_path / 'predictions.json').write_text('[]')

    def fail():
        yield RECORDS[0]
        raise UserError('no file matches')

    with pytest.raises(UserError, match='no file matches'):
        RunFolder(tmp_path).begin(fail(), IDENTITY, False)
    assert [path.name for path in tmp_path.iterdir()] == ['predictions.json']


def _hold(path, ready, end):
    RunFolder(path).begin(RECORDS, IDENTITY, True)
    ready.set()
    end.wait(30)


def test_two_runs_at_once(tmp_path):
    context = multiprocessing.get_context('fork')
    ready, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, end))
    other.start()
    assert ready.wait(30)
    with pytest.raises(UserError, match='another run is using'):
        RunFolder(tmp_path).begin(RECORDS, IDENTITY, True)
    end.set()
    other.join()
    assert RunFolder(tmp_path).begin(RECORDS, IDENTITY, True) == 5


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match="file' cannot be written: .*; choose another folder"):
        RunFolder(tmp_path / 'file')
