"""Loading checkpoints and other files as data.

Checkpoints, predictions and annotations may come from untrusted sources, and the mm libraries
unpickle or execute parts of them in a few places. :data:`data_only` guards these places by
feature, so it works with both families of packages; our tools and runs enter it. Configs that a
user names remain code.
"""
import pickle
import re
import zipfile
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

import numpy as np
import torch
import yaml
from mmengine.config import Config
from mmengine.fileio.handlers import yaml_handler
from mmengine.fileio.handlers.pickle_handler import PickleHandler
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from numpy._core import multiarray

from cicam_mm.utils.console import with_progress
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import check_regular, open_atomically, read_address
from cicam_mm.utils.stack import Replaced

from .plain import NotPlain, load_plain_pickle, read_plain_config

#: Maximum size, in bytes, of a checkpoint that is downloaded, and seconds for all of it.
MAX_DOWNLOAD, DOWNLOAD_SECONDS = 2**33, 2 * 60 * 60

NO_CHECKPOINT = 'it is truncated, damaged, or not a checkpoint'


class RefusedFile(UserError, pickle.UnpicklingError):
    """A file that would run code, or that cannot be read."""


def has_checksums(path: str | Path) -> bool:
    """Whether a file is an archive, maybe cut off, as torch has written checkpoints since 1.6."""
    check_regular(path)
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\3\4'


def find_damage(path: str | Path) -> str | None:
    """What is wrong with a file according to its checksums; None if nothing, or without any."""
    if not has_checksums(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        return NO_CHECKPOINT
    except Exception as error:  # damaged archives can raise anything
        return f'it cannot be read ({error})'
    return broken and f'its part {broken} is damaged'


def load_checkpoint(path: str | Path) -> dict:
    """A checkpoint from a path or address, on the CPU; RefusedFile if it would run code."""
    with data_only:
        return checkpoint.CheckpointLoader.load_checkpoint(str(path), 'cpu')


def allow_checkpoint_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read the checkpoints mmengine writes.

    Besides weights they hold the history of logged scalars. A history refers to its statistics,
    which are pickled as ``getattr(HistoryBuffer, 'mean')``. Allowing ``getattr`` itself would be
    unsafe: it leads from any function to its module's globals and from there to running code. So
    a replacement that returns only these statistics is registered under its name.
    """
    torch.serialization.add_safe_globals([
        HistoryBuffer, (_history_statistic, 'builtins.getattr'),
        np.ndarray, np.dtype, np.dtypes.Float64DType, np.dtypes.Int64DType,
        multiarray._reconstruct, multiarray.scalar])


def _history_statistic(owner: type, name: str) -> Callable:
    """``getattr`` for the four statistics of ``HistoryBuffer`` and nothing else."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'The checkpoint asks for {name!r} of {owner!r}: refused.')
    return getattr(owner, name)


@Replaced
def data_only():
    """Within it, the mm libraries read files as data and explain what they refuse.

    Otherwise ``torch.hub`` downloads without bounds and loads with ``weights_only=False``; the
    fork's own loader allows ``getattr`` and falls back to ``weights_only=False``;
    ``mmengine.load`` goes by the file extension, so that any annotation file may be a pickle, and
    its YAML loader can create any Python object. MMPretrain's CIFAR knows its files by their MD5.
    """
    allow_checkpoint_globals()  # again: the fork's loader removes what it has allowed itself
    loader = checkpoint.CheckpointLoader

    class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
        pass

    Loader.add_constructor('tag:yaml.org,2002:python/tuple',  # as mmengine writes them
                           lambda loader, node: tuple(loader.construct_sequence(node)))
    return [
        (checkpoint, 'load_url', _load_from_address),
        (loader, '_schemes', loader._schemes | {'': load_local}),
        *([(checkpoint, '_safe_torch_load', partial(torch.load, weights_only=True))]
          if hasattr(checkpoint, '_safe_torch_load') else []),
        (PickleHandler, 'load_from_fileobj',
         lambda self, file, **options: load_pickle(file, **options)),
        (yaml_handler, 'Loader', Loader),
    ]


def _load_from_address(url, model_dir=None, map_location=None, **options):
    folder = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'))
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        try:
            _download(url, path)
        except (OSError, HTTPException, UserError) as error:
            raise UserError(
                f'The weights {url} cannot be downloaded ({error}); get the file by other means '
                "and give its path: for this package's VGG16 as CICAM_VGG16_WEIGHTS=/path/to/"
                f'{path.name}, otherwise instead of the address.') from error
    return load_local(path, map_location, url)


def _download(url, path):
    print(f'Downloading {url} to {path}', flush=True)
    with open_atomically(path, 'wb') as file:
        for part in with_progress(read_address(url, MAX_DOWNLOAD, DOWNLOAD_SECONDS),
                                  lambda _: f'{file.tell() / 2**20:.0f} MB so far'):
            file.write(part)


def load_local(filename: str | Path, map_location: Any = None, source: str = '') -> Any:
    """Load a checkpoint of this machine as data; ``source`` is the address it came from."""
    path = Path(filename).expanduser()
    name = f'{path} (of {source})' if source else path
    try:
        damage = find_damage(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'The checkpoint {path} does not exist.') from None
    if damage:
        raise RefusedFile(f'The checkpoint {name} cannot be read: {damage}.')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r'GLOBAL (\S+)', str(error))
        raise RefusedFile(
            f'The checkpoint {name} is refused: besides tensors and plain values it holds '
            f'{asked[1] if asked else "a call"}, which could run any code when loaded.'
        ) from error
    except OSError:
        raise
    except Exception as error:  # damaged bytes can raise anything
        raise RefusedFile(
            f'The checkpoint {name} cannot be read: {NO_CHECKPOINT}.') from error


def load_pickle(file: BinaryIO, **options) -> Any:
    """Load a pickle as data; RefusedFile if it would run code."""
    try:
        return load_plain_pickle(file, **options)
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) if isinstance(error, NotPlain) else 'it is damaged'
        raise RefusedFile(f'The pickle {getattr(file, "name", "of a data file")} is refused and '
                          f'nothing in it was run: {reason}.') from error


def plain_config(text: str, name: str | Path) -> Config:
    """A Config from the text of a file, see :func:`read_plain_config`."""
    try:
        return Config(read_plain_config(text))
    except (KeyError, TypeError, ValueError) as error:  # KeyError: a name mmengine reserves
        raise RefusedFile(f'The config {name} is refused: {error}.') from error
