"""Processes: ranks of a distributed job, and children that end with their parent."""
import multiprocessing
import os
import signal
import subprocess
import threading
from datetime import timedelta
from functools import cache, partial

import torch
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.model import is_model_wrapper
from torch import nn

from .errors import UserError

# For each launcher, its variables for those that torch.distributed reads.
_RANK_VARIABLES = {
    'pytorch': {},
    'slurm': dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    'mpi': dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE',
                LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'),
}


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a wrapper such as DistributedDataParallel, or the model itself."""
    return model.module if is_model_wrapper(model) else model


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
    wraps the model, unless a process group exists and device ids are set. So this initializes gloo
    and sets ``model_wrapper_cfg``, if there is a launcher and no GPU.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    for name, source in _RANK_VARIABLES[cfg.launcher].items():
        os.environ[name] = os.environ[source]
    if cfg.launcher == 'slurm':
        hosts = subprocess.check_output(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']], text=True)
        os.environ.setdefault('MASTER_ADDR', hosts.split()[0])
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


#: Seconds that ranks which localize images wait for each other, and for the list of files.
WAIT = 30 * 60


def join_ranks(launcher: str) -> None:
    """Initialize torch.distributed as the Runner does, but with gloo.

    The ranks only exchange a message now and then, no tensors. With GPUs, each rank uses its own.
    """
    if launcher == 'none':
        return
    prepare_cpu_distributed(
        Config(dict(launcher=launcher, env_cfg=dict(dist_cfg=dict(timeout=WAIT)))))
    if not torch.distributed.is_initialized():  # there are GPUs
        init_dist(launcher, backend='gloo', timeout=WAIT)


def end_with_parent() -> None:
    """End this process, which multiprocessing has started, when the one that did so ends."""
    def end_after(process):
        process.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_after, args=(multiprocessing.parent_process(), ),
                     daemon=True).start()


@cache
def end_children_with_this_process() -> None:
    """Let all processes that are forked from this one end with it, such as those of loaders.

    Otherwise those of a killed process stay, each with its memory: a loader's worker that waits
    for room in its pipe does not look for its parent. Only Linux has such a signal.
    """
    os.register_at_fork(after_in_child=partial(
        torch.multiprocessing._prctl_pr_set_pdeathsig, signal.SIGKILL))
