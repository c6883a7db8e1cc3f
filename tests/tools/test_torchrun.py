"""What is left on the console by a job that fails."""
import os
import runpy
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
DESCRIBE = runpy.run_path(str(TOOLS / '_torchrun.py'))['describe']


def raised(name, time):
    """The failure of a rank that has recorded its exception at some nanosecond."""
    Path(name).touch()
    os.utime(name, ns=(time, time))
    return SimpleNamespace(exitcode=1, error_file=name, message={
        'message': f'{name}: oh',
        'extraInfo': {'py_callstack': f'Traceback\n{name}: oh', 'timestamp': '0'}})


def ended_by(number):
    return SimpleNamespace(
        exitcode=-number, error_file='<N/A>', message='Signal',
        signal_name=lambda: signal.Signals(number).name)


LOST, CAUSE = ('ConnectionLost', 1_200_000_000), ('Cause', 1_100_000_000)  # in the same second


@pytest.mark.parametrize(('failures', 'text'), [
    ([LOST, CAUSE], 'rank 1 failed first:\nTraceback\nCause: oh'),
    # the launcher ends the others by SIGTERM
    ([signal.SIGTERM, CAUSE], 'rank 1 failed first:\nTraceback\nCause: oh'),
    ([LOST, signal.SIGKILL], 'rank 1 was ended by SIGKILL\nrank 0 failed first:\nTraceback\n'
     'ConnectionLost: oh'),
    ([LOST, ('UserError', 1)], 'error: oh'),
])
def test_rank_that_failed_first(tmp_path, monkeypatch, failures, text):
    monkeypatch.chdir(tmp_path)
    assert DESCRIBE({rank: raised(*each) if isinstance(each, tuple) else ended_by(each)
                     for rank, each in enumerate(failures)}) == text


def test_left_before_anything_was_recorded():
    failures = {0: SimpleNamespace(exitcode=1, error_file='<N/A>', message='')}
    assert DESCRIBE(failures) == 'a rank has left with an error, see above'
