"""Progress on the disk: parts of results, and the folder of a run."""
import multiprocessing
import os
import re
import shutil

import pytest
from mmengine.config import Config

from cicam_mm.apis.batch import RunFolder, append_batch, config_digest, merge_parts
from cicam_mm.apis.inputs import Record
from cicam_mm.utils.errors import UserError

RECORDS = [Record(name) for name in 'abcde']
IDENTITY = dict(config='c', checkpoint='d')


def begin(path, records=RECORDS, resume=False):
    folder = RunFolder(path)
    return folder, folder.begin(records, IDENTITY, resume)


@pytest.mark.parametrize(('numbers', 'total'), [((0, 2), 6), ((0, 0, 1), 4), ((0, 1), 6),
                                                ((0, 1, 1), 4)])
def test_each_image_has_one_result(tmp_path, numbers, total):
    with open(tmp_path / 'part', 'xb') as part:
        for number in numbers:
            append_batch(part, number, [dict(sample_idx=2 * number + i) for i in range(2)])
    with pytest.raises(UserError, match='results are missing or doubled'):
        [*merge_parts([tmp_path / 'part'], total)]


@pytest.fixture
def unfinished(tmp_path):
    """The folder of a run that has done batches 0, 2 and 1, the last one cut off."""
    folder, count = begin(tmp_path)
    assert count == 5
    with folder.new_part(0) as first, folder.new_part(1) as second:
        append_batch(first, 0, [])
        append_batch(first, 2, [])
        append_batch(second, 1, [])
        second.truncate(second.tell() - 1)
    return tmp_path


def test_continues_where_it_was(unfinished):
    folder, count = begin(unfinished, resume=True)
    assert count == 5 and folder.remaining(4) == [1, 3]
    assert [*folder.batches([1, 3], 1)] == [(1, RECORDS[1:2]), (3, RECORDS[3:4])]
    assert [*folder.batches([0, 2], 2)] == [(0, RECORDS[:2]), (4, RECORDS[4:])]
    with folder.new_part(1) as part:
        append_batch(part, 1, [])
    assert folder.remaining(4) == [3]


@pytest.mark.parametrize(('records', 'identity', 'resume', 'sentence'), [
    (RECORDS[::-1], IDENTITY, True, 'cannot be resumed, because its run had other inputs;'),
    (RECORDS, dict(config='C', checkpoint='D'), True, 'had other config and checkpoint;'),
    (RECORDS, IDENTITY, False, 'holds an unfinished run; continue it with --resume'),
])
def test_other_runs_are_refused_and_change_nothing(
        unfinished, content, records, identity, resume, sentence):
    before = content(unfinished)
    with pytest.raises(UserError, match=sentence):
        RunFolder(unfinished).begin(records, identity, resume)
    assert content(unfinished) == before


def test_finished(unfinished):
    folder, _ = begin(unfinished, resume=True)
    folder.finish(dict(localized=5))
    assert [path.name for path in unfinished.iterdir()] == ['run.json']
    again, count = begin(unfinished, resume=True)
    assert count is None
    assert again.summary() == dict(localized=5) and not again.unfinished.exists()
    with pytest.raises(UserError, match='other inputs'):
        begin(unfinished, RECORDS[1:], resume=True)
    # without --resume another run takes its place
    assert begin(unfinished, RECORDS[1:])[1] == 4


def test_killed_as_it_removed_its_progress(unfinished):
    (unfinished / 'unfinished' / 'run.json').unlink()
    folder, count = begin(unfinished)
    assert count == 5 and folder.remaining(2) == [0, 1]


@pytest.mark.parametrize(('module', 'move'), [(shutil, 'rmtree'), (os, 'replace')])
def test_killed_while_it_moved_pictures(tmp_path, content, monkeypatch, module, move):
    """Before and after the new pictures have taken the place of the old ones."""
    def draw(name):
        folder, _ = begin(tmp_path)
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
    folder, _ = begin(tmp_path, resume=True)
    assert folder.remaining(1) == []
    folder.finish({})
    assert {*content(tmp_path)} == {'run.json', 'pictures/00000_two\nlines.png'}


def test_files_of_others_are_not_removed(tmp_path, content):
    pictures = tmp_path / 'pictures'
    photo = pictures / 'IMG_1.png'
    pictures.mkdir()
    photo.touch()
    with pytest.raises(UserError, match=re.escape(f"'{photo}' is not of an earlier run")):
        begin(tmp_path)
    assert [*content(tmp_path)] == ['pictures/IMG_1.png']

    photo.rename(pictures / '.DS_Store')
    folder, _ = begin(tmp_path)
    photo.touch()
    with pytest.raises(UserError, match='is not of an earlier run'):
        folder.finish({})
    shutil.rmtree(pictures)
    pictures.symlink_to(tmp_path)
    with pytest.raises(UserError, match=re.escape(f"'{pictures}' is not of an earlier")):
        folder.finish({})
    assert folder.records.exists()


def test_what_it_owns(tmp_path, monkeypatch):
    folder, _ = begin(tmp_path / 'out')
    (tmp_path / 'link').symlink_to('out/unfinished')
    monkeypatch.chdir(tmp_path)
    for name in ('out/unfinished/lock', 'out/pictures/0.png', 'out/run.json', 'link/lock',
                 str(tmp_path / 'out' / 'annotations.json')):
        assert folder.owns(name), name
    for name in ('out/a.png', 'out/photos/pictures/a.png', 'pictures/a.png', 'run.json'):
        assert not folder.owns(name), name


def _hold(path, ready, end):
    folder, _ = begin(path)
    ready.set()
    end.wait(30)


def test_two_runs_at_once(tmp_path):
    context = multiprocessing.get_context('fork')
    ready, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, end))
    other.start()
    assert ready.wait(30)
    with pytest.raises(UserError, match=f'another run is using .*, process {other.pid} of '):
        begin(tmp_path, resume=True)
    end.set()
    other.join()
    # that one has done nothing, so another run may take its place
    assert begin(tmp_path, RECORDS[1:])[1] == 4


def test_a_config_is_its_content(tmp_path):
    (tmp_path / 'base.py').write_text('model = dict(type="A", size=(1, 2))')
    (tmp_path / 'heir.py').write_text("_base_ = 'base.py'\n")
    (tmp_path / 'other.py').write_text("_base_ = 'base.py'\nmodel = dict(size=(1, 3))\n")
    base, heir, other = (config_digest(Config.fromfile(tmp_path / f'{name}.py'))
                         for name in ('base', 'heir', 'other'))
    assert base == heir != other
