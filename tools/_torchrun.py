"""torchrun, but a failed job ends with the traceback of the rank that failed first."""

import signal
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import parse_args, run


def describe(failures: dict[int, ProcessFailure]) -> str:
    """Describe the ranks ended by a signal, and the first traceback.

    Later tracebacks are left out, because they are from ranks that lost their peer, and so is
    SIGTERM, with which the launcher ends the remaining ranks.
    """
    lines = [f'rank {rank} was ended by {failure.signal_name()}'
             for rank, failure in sorted(failures.items())
             if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM]
    recorded = [(Path(failure.error_file).stat().st_mtime_ns, rank)
                for rank, failure in failures.items() if isinstance(failure.message, dict)]
    if recorded:
        rank = min(recorded)[1]
        message = failures[rank].message
        lines.append(
            message['message'].replace('UserError:', 'error:')
            if message['message'].startswith('UserError:')
            else f'rank {rank} failed first:\n{message["extraInfo"]["py_callstack"]}')
    return '\n'.join(lines or ['a rank has left with an error, see above'])


if __name__ == '__main__':
    try:
        run(parse_args(None))
    except ChildFailedError as error:
        sys.exit(f'\n{describe(error.failures)}')
