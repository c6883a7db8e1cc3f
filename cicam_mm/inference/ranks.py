from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

from cicam_mm.compat import prepare_cpu_distributed

#: Ranks wait for the slowest one and while files are listed, much longer than in training.
TIMEOUT = timedelta(days=30)


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
