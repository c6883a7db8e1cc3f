"""What is left on the console by a job that fails."""
import os
import runpy
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def describe():
    return runpy.run_path(str(TOOLS / '_torchrun.py'))['describe']


@pytest.fixture
def recorded(tmp_path):
    """The failure of a rank that has recorded its exception at some nanosecond."""
    def recorded(name, time):
        path = tmp_path / name
        path.touch()
        os.utime(path, ns=(time, time))
        return SimpleNamespace(exitcode=1, error_file=str(path), message={
            'message': f'{name}: oh',
            'extraInfo': {'py_callstack': f'Traceback\n{name}: oh', 'timestamp': '0'}})
    return recorded


def ended_by(number):
    return SimpleNamespace(
        exitcode=-number, error_file='<N/A>', message='Signal',
        signal_name=lambda: signal.Signals(number).name)


def test_first_of_two_in_the_same_second(describe, recorded):
    """Torch's own report has whole seconds and takes the lower rank."""
    failures = {0: recorded('ConnectionLost', 1_200_000_000), 1: recorded('Cause', 1_100_000_000)}
    assert describe(failures) == 'rank 1 failed first:\nTraceback\nCause: oh'


def test_those_the_launcher_ended_are_not_named(describe, recorded):
    failures = {0: ended_by(signal.SIGTERM), 1: recorded('Cause', 1)}
    assert describe(failures) == 'rank 1 failed first:\nTraceback\nCause: oh'


def test_killed_rank_comes_before_those_that_lost_it(describe, recorded):
    failures = {0: recorded('ConnectionLost', 1), 1: ended_by(signal.SIGKILL)}
    assert describe(failures) == (
        'rank 1 was ended by SIGKILL\nrank 0 failed first:\nTraceback\nConnectionLost: oh')


def test_a_sentence_comes_without_traceback(describe, recorded):
    failures = {0: recorded('ConnectionLost', 2), 1: recorded('UserError', 1)}
    assert describe(failures) == 'error: oh'


def test_left_before_anything_was_recorded(describe):
    failures = {0: SimpleNamespace(exitcode=1, error_file='<N/A>', message='')}
    assert describe(failures) == 'a rank has left with an error, see above'
