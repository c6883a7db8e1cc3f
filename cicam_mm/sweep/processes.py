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


def run_all(work: Mapping[Run, Callable[[], None]], jobs: int) -> Iterator[Outcome]:
    """Do all runs, ``jobs`` at a time, and yield the outcome of each as soon as it ends.

    Each job gets its own GPU or, without GPUs, its share of the cores. The output of a run goes
    to ``console.log`` in its folder. The function that does a run must be picklable.
    """
    waiting, slots = list(work), dict.fromkeys(range(jobs))
    gpus = visible_gpus()  # once: torch reads the variable again at each call
    context = _context(jobs, gpus)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as shells have it
    try:
        while waiting or any(slots.values()):
            for slot, busy in slots.items():
                if busy is None and waiting:
                    gpu = gpus[slot % len(gpus)] if gpus else None
                    slots[slot] = _start(context, work[waiting[0]], waiting.pop(0), gpu)
                elif busy is not None and busy[1].exitcode is not None:
                    slots[slot] = None
                    yield _outcome(*busy)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGTERM, before)
        for _, process, _ in filter(None, slots.values()):  # if interrupted, runs end, too
            process.terminate()


def _context(jobs: int, gpus: Sequence[str]):
    """Processes start from a server with preloaded imports, unless there is CUDA."""
    if gpus:
        return multiprocessing.get_context('spawn')
    os.environ.setdefault('OMP_NUM_THREADS', str(max((os.cpu_count() or 1) // jobs, 1)))
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['cicam_mm', 'mmengine.runner', 'matplotlib.pyplot'])
    return context


def _start(context, work, run: Run, gpu: str | None) -> tuple[Run, BaseProcess, float]:
    run.folder.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_do, args=(work, run.folder), name=run.name)
    before = dict(os.environ)
    os.environ.update({} if gpu is None else {GPUS: gpu})  # before torch is imported
    try:
        process.start()
    finally:
        os.environ.pop(GPUS, None)
        os.environ.update(before)
    return run, process, time.monotonic()


def _do(work, folder):
    end_with_parent()
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


def _outcome(run: Run, process: BaseProcess, start: float) -> Outcome:
    process.join()
    error = None
    if process.exitcode:
        error = _last_line(run.folder / LOG) or 'it printed nothing'
        if process.exitcode < 0:
            error = f'killed by signal {-process.exitcode}, after: {error}'
    return Outcome(run, time.monotonic() - start, error)


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors='replace').splitlines() if line.strip()]
    return lines[-1] if lines else ''
