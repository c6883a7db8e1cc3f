"""Progress on the disk: parts of results, and the folder of a run."""
import multiprocessing
import os
import re
import shutil

import pytest
from mmengine.config import Config

from cicam_mm.apis.batch import RunFolder, append_batch, config_digest, merge_parts, read_part
from cicam_mm.apis.inputs import Record
from cicam_mm.utils.errors import UserError

RECORDS = [Record(name) for name in 'abcde']
IDENTITY = dict(config='c', checkpoint='d')


def write(path, *numbers):
    with open(path, 'xb') as part:
        for number in numbers:
            append_batch(part, number, [dict(sample_idx=2 * number + i) for i in range(2)])
    return path


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


# ---------------------------------------------------------------- parts

def test_merged_in_the_order_of_batches(tmp_path):
    parts = [write(tmp_path / 'a', 0, 3, 4), write(tmp_path / 'b', 1, 6),
             write(tmp_path / 'c', 2, 5), write(tmp_path / 'd')]
    assert [*merge_parts(parts, 14)] == [dict(sample_idx=number) for number in range(14)]


@pytest.mark.parametrize(('numbers', 'total'), [((0, 2), 6), ((0, 0, 1), 4), ((0, 1), 6)])
def test_each_image_has_one_result(tmp_path, numbers, total):
    with pytest.raises(UserError, match='results of image [24] are missing or doubled'):
        [*merge_parts([write(tmp_path / 'a', *numbers)], total)]


def test_every_cut_leaves_the_complete_batches(tmp_path):
    whole = write(tmp_path / 'whole', 7, 8).read_bytes()
    first = whole.index(b'\n') + 1
    for length in range(len(whole) + 1):
        (tmp_path / 'cut').write_bytes(whole[:length])
        expected = [7] * (length >= first) + [8] * (length == len(whole))
        assert [number for number, _ in read_part(tmp_path / 'cut')] == expected


def test_a_damaged_line_is_named(tmp_path):
    path = write(tmp_path / 'a', 7, 8)
    path.write_bytes(path.read_bytes().replace(b'[8,', b'[9,'))
    with pytest.raises(UserError, match=f'{path}, line 2 is damaged; delete the file'):
        [*read_part(path)]
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match='pipe is not a regular file'):
        [*read_part(tmp_path / 'pipe')]


# ---------------------------------------------------------------- the folder of a run

@pytest.fixture
def unfinished(tmp_path):
    """The folder of a run that has done batches 0, 2 and 1, the last one cut off."""
    folder = RunFolder(tmp_path)
    assert folder.begin(RECORDS, IDENTITY, False) == 5
    with folder.new_part(0) as first, folder.new_part(1) as second:
        append_batch(first, 0, [])
        append_batch(first, 2, [])
        append_batch(second, 1, [])
    cut = folder._parts[1]
    cut.write_bytes(cut.read_bytes()[:-1])
    return tmp_path


def test_continues_where_it_was(unfinished):
    folder = RunFolder(unfinished)
    assert folder.begin(RECORDS, IDENTITY, True) == 5
    assert folder.remaining(4) == [1, 3]
    assert [*folder.batches([1, 3], 1)] == [(1, RECORDS[1:2]), (3, RECORDS[3:4])]
    assert [*folder.batches([0, 2], 2)] == [(0, RECORDS[:2]), (2, RECORDS[4:])]
    with folder.new_part(1) as part:
        append_batch(part, 1, [])
    assert folder.remaining(4) == [3] and len(folder._parts) == 3


@pytest.mark.parametrize(('records', 'identity', 'resume', 'sentence'), [
    (RECORDS[:-1], IDENTITY, True, 'cannot be resumed, because its run had other inputs;'),
    (RECORDS[::-1], IDENTITY, True, 'cannot be resumed, because its run had other inputs;'),
    (RECORDS, dict(config='C', checkpoint='D'), True, 'had other config and checkpoint;'),
    (RECORDS, IDENTITY, False, 'holds an unfinished run; continue it with --resume'),
])
def test_other_runs_are_refused_and_change_nothing(
        unfinished, records, identity, resume, sentence):
    before = content(unfinished)
    with pytest.raises(UserError, match=sentence):
        RunFolder(unfinished).begin(records, identity, resume)
    assert content(unfinished) == before


@pytest.mark.parametrize('damaged', ['', '[1]', '{"config": "c"', '\0\0'])
def test_a_damaged_identity_is_named(unfinished, damaged):
    (unfinished / 'unfinished' / 'run.json').write_text(damaged)
    with pytest.raises(UserError, match='run.json is damaged'):
        RunFolder(unfinished).begin(RECORDS, IDENTITY, True)


def test_finished(unfinished):
    folder = RunFolder(unfinished)
    folder.begin(RECORDS, IDENTITY, True)
    folder.finish(dict(localized=5))
    assert [path.name for path in unfinished.iterdir()] == ['run.json']
    again = RunFolder(unfinished)
    assert again.begin(RECORDS, IDENTITY, True) is None
    assert again.summary() == dict(localized=5) and not again.unfinished.exists()
    with pytest.raises(UserError, match='other inputs'):
        RunFolder(unfinished).begin(RECORDS[1:], IDENTITY, True)
    # without --resume another run takes its place
    assert RunFolder(unfinished).begin(RECORDS[1:], IDENTITY, False) == 4


def test_killed_as_it_removed_its_progress(unfinished):
    (unfinished / 'unfinished' / 'run.json').unlink()
    folder = RunFolder(unfinished)
    assert folder.begin(RECORDS, IDENTITY, False) == 5
    assert folder.remaining(2) == [0, 1] and not folder._parts


@pytest.mark.parametrize(('module', 'move'), [(shutil, 'rmtree'), (os, 'replace')])
def test_killed_while_it_moved_pictures(tmp_path, monkeypatch, module, move):
    """Before and after the new pictures have taken the place of the old ones."""
    def draw(name):
        folder = RunFolder(tmp_path)
        folder.begin(RECORDS, IDENTITY, False)
        with folder.new_part(0) as part:
            append_batch(part, 0, [])
        (folder.unfinished / 'pictures' / name).write_text(name)
        return folder

    original = getattr(module, move)

    def then_die(*args):
        original(*args)
        raise KeyboardInterrupt

    draw('00000_old.png').finish({})
    folder = draw('00000_two\nlines.png')
    with monkeypatch.context() as patch:
        patch.setattr(module, move, then_die)
        with pytest.raises(KeyboardInterrupt):
            folder.finish({})
    folder = RunFolder(tmp_path)
    assert folder.begin(RECORDS, IDENTITY, True) == 5 and folder.remaining(1) == []
    folder.finish({})
    assert {*content(tmp_path)} == {'run.json', 'pictures/00000_two\nlines.png'}


def test_files_of_others_are_not_removed(tmp_path):
    (tmp_path / 'pictures').mkdir()
    photo = tmp_path / 'pictures' / 'IMG_1.png'
    photo.touch()
    with pytest.raises(UserError, match=re.escape(f"'{photo}' is not of an earlier run")):
        RunFolder(tmp_path).begin(RECORDS, IDENTITY, False)
    assert [*content(tmp_path)] == ['pictures/IMG_1.png']

    photo.rename(tmp_path / 'pictures' / '.DS_Store')
    folder = RunFolder(tmp_path)
    folder.begin(RECORDS, IDENTITY, False)
    photo.touch()
    with pytest.raises(UserError, match='is not of an earlier run'):
        folder.finish({})
    shutil.rmtree(photo.parent)
    photo.parent.symlink_to(tmp_path)
    with pytest.raises(UserError, match=re.escape(f"'{photo.parent}' is not of an earlier")):
        folder.finish({})
    assert folder.records.exists()


def test_what_it_owns(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / 'out')
    folder.begin(RECORDS, IDENTITY, False)
    (tmp_path / 'link').symlink_to('out/unfinished')
    monkeypatch.chdir(tmp_path)
    for name in ('out/unfinished/lock', 'out/pictures/0.png', 'out/unfinished/pictures/0.png',
                 'out/run.json', 'out/.predictions.csv.0123abcd.part', 'link/lock',
                 str(tmp_path / 'out' / 'annotations.json')):
        assert folder.owns(name), name
    for name in ('out/a.png', 'out/photos/pictures/a.png', 'pictures/a.png', 'run.json', 'a.png'):
        assert not folder.owns(name), name


def test_a_failing_list_leaves_earlier_results(tmp_path):
    (tmp_path / 'predictions.json').write_text('[]')

    def fail():
        yield RECORDS[0]
        raise UserError('no file matches')

    with pytest.raises(UserError, match='no file matches'):
        RunFolder(tmp_path).begin(fail(), IDENTITY, False)
    assert [path.name for path in tmp_path.iterdir()] == ['predictions.json']


def _hold(path, ready, end):
    folder = RunFolder(path)
    folder.begin(RECORDS, IDENTITY, True)
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
    # that one has done nothing, so another run may take its place
    assert RunFolder(tmp_path).begin(RECORDS[1:], IDENTITY, False) == 4


def test_a_config_is_its_content(tmp_path):
    (tmp_path / 'base.py').write_text('model = dict(type="A", size=(1, 2))')
    (tmp_path / 'heir.py').write_text("_base_ = 'base.py'\n")
    (tmp_path / 'other.py').write_text("_base_ = 'base.py'\nmodel = dict(size=(1, 3))\n")
    base, heir, other = (config_digest(Config.fromfile(tmp_path / f'{name}.py'))
                         for name in ('base', 'heir', 'other'))
    assert base == heir != other
