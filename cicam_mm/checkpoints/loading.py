"""Guards against code in data files.

Checkpoints, predictions, annotations and work directories may come from untrusted sources. The
mm libraries unpickle or execute parts of them in a few places; :func:`install` guards all of
these, by feature, so it works with both families of packages. Configs that a user names remain
code.
"""
import io
import json
import logging
import pickle
import re
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import check_regular

from .plain import NotPlain, load_plain_pickle, read_plain_config

NO_CHECKPOINT = 'it is truncated, damaged, or not a checkpoint'


def has_checksums(path: str | Path) -> bool:
    """Whether a file is an archive, as torch has written checkpoints since 1.6.

    Args:
        path (str | Path): Path of the file.

    Raises:
        FileNotFoundError: If the path does not exist.
        UserError: If it is not a regular file.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\3\4'


def find_damage(path: str | Path) -> str | None:
    """What the checksums in a file tell to be wrong with it; None if nothing, or without any.

    Args:
        path (str | Path): Path of the file.

    Raises:
        FileNotFoundError, UserError: See :func:`has_checksums`.
    """
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


class RefusedFile(UserError, pickle.UnpicklingError):
    """A file that would run code, or that cannot be read."""


def install() -> None:
    """Install every guard; importing the package does this once."""
    allow_checkpoint_globals()
    guard_checkpoint_loading()
    guard_stored_configs()
    guard_removed_checkpoints()
    guard_data_files()


def allow_checkpoint_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read the checkpoints mmengine writes.

    Besides weights they hold the history of logged scalars. A history refers to its statistics,
    which are pickled as ``getattr(HistoryBuffer, 'mean')``. Allowing ``getattr`` itself would be
    unsafe: it leads from any function to its module's globals and from there to running code. So
    a replacement that returns only these statistics is registered under its name.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer
    from numpy._core import multiarray

    torch.serialization.add_safe_globals([
        HistoryBuffer,
        (_history_statistic, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        multiarray._reconstruct,
        multiarray.scalar,
        np.dtypes.Float64DType,
        np.dtypes.Int64DType,
    ])


def _history_statistic(owner: type, name: str) -> Callable:
    """``getattr`` for the four statistics of ``HistoryBuffer`` and nothing else."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'The checkpoint asks for {name!r} of {owner!r}: refused.')
    return getattr(owner, name)


def guard_checkpoint_loading() -> None:
    """Load checkpoints with ``weights_only=True`` everywhere, and explain refusals.

    Without this guard, ``torch.hub`` loads checkpoints from http with ``weights_only=False``, and
    the fork's own loader allows ``getattr`` and falls back to ``weights_only=False``.
    """
    from mmengine.runner import checkpoint

    load_url = checkpoint.load_url

    def load_url_guarded(url, *args, **kwargs):
        try:
            with _refusal(url):
                return load_url(url, *args, **kwargs, weights_only=True)
        except (OSError, HTTPException) as error:
            raise UserError(
                f'The weights {url} cannot be downloaded ({error}); get the file by other means '
                "and give its path: for this package's VGG16 as CICAM_VGG16_WEIGHTS=/path/to/"
                f'{Path(url).name}, otherwise instead of the address.') from error

    def load_from_local(filename, map_location=None):
        path = Path(filename).expanduser()
        try:
            damage = find_damage(path)
        except FileNotFoundError:
            raise FileNotFoundError(f'The checkpoint {path} does not exist.') from None
        if damage:
            raise RefusedFile(f'The checkpoint {path} cannot be read: {damage}.')
        with _refusal(path):
            return torch.load(path, map_location=map_location, weights_only=True)

    checkpoint.load_url = load_url_guarded
    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = partial(torch.load, weights_only=True)


@contextmanager
def _refusal(name: str | Path):
    """Turn torch's errors about a bad checkpoint into one sentence."""
    try:
        yield
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


def guard_stored_configs() -> None:
    """Read the config inside a checkpoint as data.

    ``Runner.resume`` passes ``checkpoint['meta']['config']`` to ``Config.fromstring``, which
    executes it, only to learn the number of GPUs. mmengine's ``BaseInferencer`` also builds a
    model from it, and a type may name any function.
    """
    from mmengine.config import Config
    from mmengine.infer import BaseInferencer
    from mmengine.runner import Runner

    resumed = ContextVar('resumed', default='in a checkpoint')
    resume = Runner.resume

    @wraps(resume)
    def resume_naming_the_file(self, filename, *args, **kwargs):
        token = resumed.set(f'in the checkpoint {filename}')
        try:
            resume(self, filename, *args, **kwargs)
        finally:
            resumed.reset(token)

    def fromstring(cfg_str: str, file_format: str) -> Config:
        """A config from text that holds plain values only; code in it is refused, never run."""
        return plain_config(cfg_str, resumed.get(), file_format)

    init_model = BaseInferencer._init_model

    @wraps(init_model)
    def init_model_of_config(self, cfg, *args, **kwargs):
        if not cfg:
            raise RefusedFile('The inferencer needs a config: the one in the checkpoint is not '
                              'used, because building what a file names can run any code.')
        return init_model(self, cfg, *args, **kwargs)

    Runner.resume = resume_naming_the_file
    Config.fromstring = staticmethod(fromstring)
    BaseInferencer._init_model = init_model_of_config


def plain_config(text: str, name: str | Path, file_format: str = '.py'):
    """A Config from text that is read as data; see :func:`read_plain_config`.

    Args:
        text (str): The text.
        name (str | Path): Name of the config in errors.
        file_format (str): '.py' or '.json'. Defaults to '.py'.

    Raises:
        RefusedFile: If it holds more than plain values; nothing is run.
    """
    from mmengine.config import Config

    try:
        return Config(json.loads(text) if file_format == '.json' else read_plain_config(text))
    except (KeyError, TypeError, ValueError) as error:  # KeyError: a name mmengine reserves
        raise RefusedFile(f'The config {name} is refused: {error}.') from error


def guard_removed_checkpoints() -> None:
    """Let a resumed training remove only its own checkpoints.

    ``CheckpointHook`` removes the best checkpoint so far, a file or a whole folder, once there is
    a better one, and takes its path from the checkpoint that was resumed.
    """
    from mmengine.hooks import CheckpointHook
    from mmengine.logging import print_log

    before_train = CheckpointHook.before_train

    @wraps(before_train)
    def before_train_guarded(self, runner):
        info = runner.message_hub.runtime_info
        if 'keep_ckpt_ids' in info:
            kept = info['keep_ckpt_ids']
            info['keep_ckpt_ids'] = [step for step in kept if isinstance(step, int)] \
                if isinstance(kept, list) else []
        before_train(self, runner)

        def own(path: Any) -> str | None:
            if path is None or (isinstance(path, str) and Path(path).is_file()
                                and Path(path).name.startswith('best_')
                                and Path(path).parent.samefile(self.out_dir)):
                return path
            print_log(f'The resumed checkpoint names {path!r} as the best one so far. It is not '
                      f'in {self.out_dir}, so it will not be removed for a better one.',
                      'current', logging.WARNING)
            return None

        if getattr(self, 'best_ckpt_path', None) is not None:
            self.best_ckpt_path = own(self.best_ckpt_path)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = own(path)

    CheckpointHook.before_train = before_train_guarded


def guard_data_files() -> None:
    """Read pickles and YAML as data wherever the mm libraries load annotations or results.

    ``mmengine.load`` goes by the file extension, so any annotation file may be a pickle, and its
    YAML loader can create any Python object. CIFAR's files are pickles, too.
    """
    import yaml
    from mmengine.fileio.handlers import yaml_handler
    from mmengine.fileio.handlers.pickle_handler import PickleHandler
    from mmpretrain.datasets import cifar

    def load(file, **options):
        try:
            return load_plain_pickle(file, **options)
        except Exception as error:  # a damaged pickle can raise anything
            reason = str(error) if isinstance(error, NotPlain) else 'it is damaged'
            raise RefusedFile(f'The pickle {getattr(file, "name", "of a data file")} is refused '
                              f'and nothing in it was run: {reason}.') from error

    def loads(content, **options):
        return load(io.BytesIO(content), **options)

    class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
        pass

    Loader.add_constructor('tag:yaml.org,2002:python/tuple',  # as mmengine writes them
                           lambda loader, node: tuple(loader.construct_sequence(node)))

    PickleHandler.load_from_fileobj = lambda self, file, **options: load(file, **options)
    yaml_handler.Loader = Loader
    cifar.pickle = SimpleNamespace(load=load, loads=loads)
