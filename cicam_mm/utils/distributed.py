import os
import subprocess
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

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
    """Rank of this process, without initializing torch.distributed.

    Args:
        launcher (str): 'none', for which the rank is 0, 'pytorch', 'slurm' or 'mpi'.

    Raises:
        UserError: If that launcher did not start this process.
    """
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
    initializes gloo and sets ``model_wrapper_cfg``. It does nothing without a launcher or if there
    is a GPU.

    Args:
        cfg (mmengine.Config): The Runner's config, changed in place; ``launcher`` is 'none',
            'pytorch', 'slurm' or 'mpi'.
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


def join_ranks(launcher: str) -> None:
    """Initialize torch.distributed as the Runner does, but with gloo.

    The ranks only exchange a message at the start and at the end, no tensors. With GPUs, each rank
    uses its own.

    Args:
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.
    """
    if launcher == 'none':
        return
    seconds = int(TIMEOUT.total_seconds())
    prepare_cpu_distributed(
        Config(dict(launcher=launcher, env_cfg=dict(dist_cfg=dict(timeout=seconds)))))
    if not torch.distributed.is_initialized():  # there are GPUs
        init_dist(launcher, backend='gloo', timeout=seconds)
