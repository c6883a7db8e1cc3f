"""From JPEG files to files of boxes on two ranks, against one."""

import multiprocessing
import os
import socket
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from time import perf_counter

import torch

from cicam_mm.apis.batch import Options, localize_files
from cicam_mm.utils.distributed import join_ranks

from .data import PHOTOS, SIZES, WORKERS, write_photos
from .inference import BATCHES
from .models import SIDE, cicam_inferencer
from .timing import Row, compare_rates

#: Ranks, and threads of each.
VARIANTS = {'one rank, one thread': (1, 1), 'one rank, two threads': (1, 2),
            'two ranks, one thread each': (2, 1)}


def measure(batch: int, rounds: int) -> list[Row]:
    """Images a second, without the start of the processes; by the clock, so on an idle machine."""
    seconds = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder), SIZES['500 x 375'])
        count = 2 * batch * BATCHES
        paths = (photos * (count // PHOTOS + 1))[:count]
        for number in range(max(rounds // 3, 1)):
            for name, (ranks, threads) in VARIANTS.items():
                out = Path(folder, f'{name}, {number}')
                seconds[name].append(_seconds(ranks, threads, (paths, out, batch)))
    return compare_rates(f'inference on ranks, batch {batch}, images of 500 x 375 pixels',
                         seconds, count)


def _seconds(ranks, threads, job):
    context = multiprocessing.get_context('spawn')
    measured, port = context.SimpleQueue(), _free_port()
    processes = [
        context.Process(target=_localize, args=(rank, ranks, port, threads, job, measured))
        for rank in range(ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f'a rank left with exit code {process.exitcode}')
    return max(measured.get() for _ in processes)


def _free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def _localize(rank, ranks, port, threads, job, measured):
    paths, out, batch = job
    torch.set_num_threads(threads)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank),
                      MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    join_ranks('pytorch')
    inferencer = cicam_inferencer()
    with torch.no_grad():
        inferencer.model(torch.randn(batch, 3, SIDE, SIDE))  # warm
    torch.distributed.barrier()
    start = perf_counter()
    with redirect_stdout(StringIO()):
        localize_files(inferencer, paths, out, Options(batch_size=batch, pictures=0), WORKERS)
    measured.put(perf_counter() - start)
    torch.distributed.destroy_process_group()
