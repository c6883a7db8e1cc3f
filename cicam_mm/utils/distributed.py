"""Processes: ranks of a distributed job, and children that end with their parent."""
import atexit
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from functools import partial

import torch
from mmengine.config import Config
from mmengine.dist import init_dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from .errors import UserError

# For each launcher, its variables for those that torch.distributed reads.
_RANK_VARIABLES = {
    'pytorch': {},
    'slurm': {
        'RANK': 'SLURM_PROCID',
        'WORLD_SIZE': 'SLURM_NTASKS',
        'LOCAL_RANK': 'SLURM_LOCALID',
    },
    'mpi': {
        'RANK': 'OMPI_COMM_WORLD_RANK',
        'WORLD_SIZE': 'OMPI_COMM_WORLD_SIZE',
        'LOCAL_RANK': 'OMPI_COMM_WORLD_LOCAL_RANK',
    },
}


def launched_rank(launcher: str) -> int:
    """Rank of this process, without initializing torch.distributed; 0 for the launcher 'none'."""
    if launcher == 'none':
        return 0
    sources = _RANK_VARIABLES[launcher]
    needed = [sources.get('RANK', 'RANK'), sources.get('WORLD_SIZE', 'WORLD_SIZE'),
              *(['MASTER_ADDR'] if launcher != 'slurm' else [])]
    if missing := [name for name in needed if name not in os.environ]:
        raise UserError(
            f'the launcher {launcher!r} did not start this process, because '
            f'{", ".join(missing)} is not set; start it with tools/dist_train.sh, '
            'tools/dist_test.sh or tools/slurm_train.sh, or omit --launcher.')
    return int(os.environ[needed[0]])


def prepare_cpu_distributed(cfg) -> None:
    """Make the Runner of a distributed job work on machines without a GPU.

    mmengine binds every process to a GPU, both when it initializes torch.distributed and when it
    wraps the model, unless a process group exists and device ids are set. This function therefore
    initializes gloo and sets ``model_wrapper_cfg`` of the config. It does nothing without a
    launcher or if there is a GPU.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    for name, source in _RANK_VARIABLES[cfg.launcher].items():
        os.environ[name] = os.environ[source]
    if cfg.launcher == 'slurm':
        os.environ.setdefault('MASTER_ADDR', _first_slurm_host())
    os.environ.setdefault('MASTER_PORT', '29500')

    options = cfg.get('env_cfg', {}).get('dist_cfg', {})
    timeout = {'timeout': timedelta(seconds=options['timeout'])} if 'timeout' in options else {}
    if not torch.distributed.is_initialized():  # an earlier Runner may have done so
        torch.distributed.init_process_group('gloo', **timeout)

    wrapper = cfg.get('model_wrapper_cfg') or dict(  # the Runner's default
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}


def _first_slurm_host() -> str:
    command = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
    return subprocess.check_output(command, text=True).split()[0]


#: Ranks wait for the slowest one and while files are listed, longer than in training.
TIMEOUT = timedelta(minutes=30)

#: Seconds without a sign of life after which a rank that localizes images counts as lost.
LOST = 300


def join_ranks(launcher: str) -> None:
    """Initialize torch.distributed as the Runner does, but with gloo, and watch the ranks.

    The ranks only exchange a message at the start and at the end, no tensors. With GPUs, each rank
    uses its own.
    """
    if launcher == 'none':
        return
    seconds = int(TIMEOUT.total_seconds())
    prepare_cpu_distributed(
        Config(dict(launcher=launcher, env_cfg=dict(dist_cfg=dict(timeout=seconds)))))
    if not torch.distributed.is_initialized():  # there are GPUs
        init_dist(launcher, backend='gloo', timeout=seconds)
    watch_ranks(LOST)


def watch_ranks(timeout: float) -> None:
    """End this process if another rank gives no sign of life for so many seconds, and name it.

    If a rank was stopped or lost its machine, the others wait inside a collective operation, whose
    own timeout does not say for whom. So a thread of every rank counts up a number in the store
    that torch.distributed was initialized with, and reads those of the others. A rank that is
    alive but stuck is left to the timeout of the collective operation.
    """
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1 or (
            _watched.is_set()):
        return
    _watched.set()
    beats, ended = {_STORE: (None, time.monotonic())}, threading.Event()
    beat, watch = (threading.Thread(target=work, args=(beats, timeout, ended), daemon=True)
                   for work in (_beat, _watch))
    beat.start()
    watch.start()

    @atexit.register
    def leave():  # so that the others know
        ended.set()
        beat.join(5)


_watched = threading.Event()
_STORE = 'rank 0 or the launcher, which holds the store of this job,'


def _beat(beats, timeout, ended):
    """Exchange the numbers; ``beats`` has the last one of each rank and its time."""
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    try:
        # a connection of its own: the main one may be busy in a collective operation
        store = torch.distributed.TCPStore(
            os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), is_master=False,
            wait_for_workers=False, timeout=timedelta(seconds=timeout))
        number = 0
        while not ended.wait(min(10, timeout / 15)):
            number += 1
            store.set(f'beat/{rank}', str(number))
            for other in {*range(world_size)} - {rank}:
                beat = store.get(f'beat/{other}') if store.check([f'beat/{other}']) else None
                if beat != beats.get(f'rank {other}', (None, ))[0] or b'ended' == beat:
                    beats[f'rank {other}'] = beat, time.monotonic()
            beats[_STORE] = None, time.monotonic()
        store.set(f'beat/{rank}', 'ended')
    except RuntimeError:  # the process that holds the store has exited
        ended.set()


def _watch(beats, timeout, ended):
    while not ended.wait(min(10, timeout / 15)):
        for other, (_, since) in list(beats.items()):
            silent = time.monotonic() - since
            if silent > timeout:
                error = UserError(f'{other} has not responded for {silent:.0f} s; check its '
                                  'machine, and continue with --resume.')
                get_error_handler().record_exception(error)
                print(f'error: {error}', file=sys.stderr, flush=True)
                os._exit(1)  # the main thread is stuck in a collective operation


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that ends."""
    if started_by := multiprocessing.parent_process():  # through a server, maybe
        threading.Thread(target=_end_after, args=(started_by.join, ), daemon=True).start()
    else:
        _end_with_forking_process()


def _end_with_forking_process():
    parent = os.getppid()
    if sys.platform == 'linux':
        # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended meanwhile
            os._exit(1)
    else:
        threading.Thread(target=_end_after, args=(partial(_wait_for, parent), ),
                         daemon=True).start()


def _end_after(wait):
    wait()
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(parent):
    while os.getppid() == parent:
        time.sleep(1)


def end_children_with_this_process() -> None:
    """Let all processes that are forked from this one end with it, such as those of loaders.

    Otherwise those of a killed process stay, each with its memory: a loader's worker that waits
    for room in its pipe does not look for its parent.
    """
    global _forks_end
    if not _forks_end:
        os.register_at_fork(after_in_child=_end_with_forking_process)
        _forks_end = True


_forks_end = False
