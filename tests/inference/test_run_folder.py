import json
import multiprocessing
import shutil

import pytest

from cicam_mm.errors import UserError
from cicam_mm.inference.record import Record
from cicam_mm.inference.run_folder import RunFolder

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
    cut = folder.parts[1]
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
    assert folder.remaining(4) == [3] and len(folder.parts) == 3


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
    assert [*content(unfinished)] == [folder.path.joinpath('run.json').relative_to(unfinished)]
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
    assert folder.remaining(2) == [0, 1] and not folder.parts


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
    folder = RunFolder(path)
    folder.join()
    ready.set()
    end.wait(30)


def test_two_runs_at_once(tmp_path):
    RunFolder(tmp_path).begin(RECORDS, IDENTITY, False)
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
