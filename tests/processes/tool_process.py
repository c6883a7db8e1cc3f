"""A script of tools/ in a process that is forked from a server with everything imported.

It starts in a fraction of a second; a new interpreter takes seconds for its imports. Signals,
exit codes and output are those of any other process.
"""
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from multiprocessing.context import BaseContext
from pathlib import Path


class ToolProcess:
    """Has those methods of :class:`subprocess.Popen` that tests use.

    Args:
        context (BaseContext): Of the server.
        script (Path): The script.
        args (Sequence[str]): Its arguments.
        log (Path): File for its output, stdout and stderr together.
        cwd (Path): Its working directory.
    """

    def __init__(self, context: BaseContext, script: Path, args: Sequence[str], log: Path,
                 cwd: Path):
        self._log = log
        self._process = context.Process(
            target=_run, args=(script, args, log, cwd, dict(os.environ)))
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 300) -> tuple[str, None]:
        """Wait for the end; the output, and None in place of a separate stderr."""
        self._process.join(timeout)
        if self._process.is_alive():
            self._process.kill()
            raise TimeoutError(f'no end after {timeout} s: {self._log.read_text()}')
        return self._log.read_text(errors='replace'), None


def _run(script, args, log, cwd, environment):
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    # a job in the background may have inherited that it is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [str(script), *args]
    sys.path.insert(0, str(script.parent))  # as Python does for a script
    runpy.run_path(str(script), run_name='__main__')
