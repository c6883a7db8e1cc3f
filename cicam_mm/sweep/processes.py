"""Running many runs, several at a time, each in its own process to isolate failures."""
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

from cicam_mm.utils.console import REPORT_EVERY
from cicam_mm.utils.distributed import end_children_with_this_process, end_with_parent
from cicam_mm.utils.errors import as_sentence

from .runs import Run

LOG = 'console.log'
GPUS = 'CUDA_VISIBLE_DEVICES'


class Outcome(NamedTuple):
    """Outcome of a run: its duration in seconds and, if it failed, the last line it printed."""
    run: Run
    seconds: float
    error: str | None


def default_jobs() -> int:
    """One run per GPU, or a single one without GPUs."""
    return max(len(visible_gpus()), 1)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    given = os.environ.get(GPUS)
    return [*map(str, range(count))] if given is None else given.split(',')[:count]


def run_all(work: Mapping[Run, Callable[[], None]], jobs: int,
            start: Callable | None = None) -> Iterator[Outcome]:
    """Do all runs, ``jobs`` at a time, and yield the outcome of each as soon as it ends.

    The console shows the progress of the runs. An interrupt ends them.

    Args:
        work (Mapping): Does a run, with its output in ``console.log``; must be picklable.
        start (Callable, optional): Starts the work of a run in one of the slots, and gives an
            object with ``has_ended()``, ``error()`` and ``cancel()``. Defaults to None, a
            :class:`LocalStarter`.
    """
    start = start or LocalStarter(jobs)
    waiting, slots, reported = list(work), dict.fromkeys(range(jobs)), time.monotonic()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as shells have it
    try:
        while waiting or any(slots.values()):
            for slot, busy in slots.items():
                if busy is None and waiting:
                    run = waiting.pop(0)
                    run.folder.mkdir(parents=True, exist_ok=True)
                    (run.folder / LOG).unlink(missing_ok=True)
                    slots[slot] = run, start(work[run], run, slot), time.monotonic()
                elif busy is not None and busy[1].has_ended():
                    slots[slot], (run, started, since) = None, busy
                    yield Outcome(run, time.monotonic() - since, started.error())
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                for run, *_ in filter(None, slots.values()):
                    print(f'  {run.name}: {_last_line(run.folder) or "starting":.120}', flush=True)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGTERM, before)
        for _, started, _ in filter(None, slots.values()):
            started.cancel()


class LocalStarter:
    """Starts runs as processes of this machine.

    Each has a GPU of its own or, without GPUs, its share of the cores.
    """

    def __init__(self, jobs: int):
        self._gpus = visible_gpus()  # once: torch reads the variable again at each call
        self._context = _context(jobs, self._gpus)

    def __call__(self, work: Callable[[], None], run: Run, slot: int) -> 'LocalRun':
        process = self._context.Process(target=_do, args=(work, run.folder), name=run.name)
        before = dict(os.environ)
        if self._gpus:
            os.environ[GPUS] = self._gpus[slot % len(self._gpus)]  # before torch is imported
        try:
            process.start()
        finally:
            os.environ.pop(GPUS, None)
            os.environ.update(before)
        return LocalRun(process, run.folder)


class LocalRun(NamedTuple):
    """A process of this machine that does a run."""
    process: BaseProcess
    folder: Path

    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    def error(self) -> str | None:
        if not (code := self.process.exitcode):
            return None
        last = _last_line(self.folder) or 'it printed nothing'
        return last if code > 0 else f'killed by signal {-code}, after: {last}'

    def cancel(self) -> None:
        self.process.terminate()


def _context(jobs: int, gpus: Sequence[str]):
    """Processes start from a server with preloaded imports, unless there is CUDA."""
    if gpus:
        return multiprocessing.get_context('spawn')
    os.environ.setdefault('OMP_NUM_THREADS', str(max((os.cpu_count() or 1) // jobs, 1)))
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['cicam_mm', 'mmengine.runner', 'matplotlib.pyplot'])
    return context


def _do(work, folder):
    end_with_parent()
    do_logged(work, folder)


def do_logged(work: Callable[[], None], folder: Path) -> None:
    """Do a run in this process; its output goes to ``console.log`` in the folder."""
    end_children_with_this_process()
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        work()
    except Exception as error:
        if (sentence := as_sentence(error)) is None:
            raise
        sys.exit(f'error: {sentence}')


def _last_line(folder: Path) -> str:
    try:
        text = (folder / LOG).read_text(errors='replace')
    except FileNotFoundError:
        return ''
    return next((line for line in reversed(text.splitlines()) if line.strip()), '')
