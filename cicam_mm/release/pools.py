"""Reading context pools from checkpoints and pool files, without running anything in them."""
from pathlib import Path

from mmengine.runner import CheckpointLoader
from torch import Tensor

from cicam_mm.checksums import has_checksums
from cicam_mm.errors import UserError
from cicam_mm.models.weights import state_dict_of

from .files import read_release_pool


def read_pools(path: str | Path) -> dict[str, Tensor]:
    """The context pools in a checkpoint of this project, or in a pool file of the 2021 release.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, Tensor]: Pools of shape (n, h, w), float32, by their names in the checkpoint;
        the name is '' for a pool file of the release. Empty for a model without a pool.

    Raises:
        FileNotFoundError: If the file does not exist.
        UnpicklingError: If a checkpoint is damaged or would run code.
        ValueError: If a pool file is damaged or would run code, or if a pool has another shape.
    """
    if not has_checksums(path):
        return {'': read_release_pool(path)}
    state = state_dict_of(CheckpointLoader.load_checkpoint(str(path), 'cpu'), str(path))
    pools = {name: value.float() for name, value in state.items()
             if name.split('.')[-1] == 'pool'}
    for pool in pools.values():
        if pool.ndim != 3:
            raise UserError(f'the context pool in the checkpoint {path} has the shape '
                            f'{tuple(pool.shape)} instead of (n, h, w); take another checkpoint.')
    return pools
