"""Everything that depends on the versions of the mm libraries.

Two families of packages provide the modules ``mmengine``, ``mmcv`` and ``mmpretrain``:
OpenMMLab's own and the maintained fork ``onedl-*``. :func:`check_stack` ensures that exactly one
of them is installed. All other functions test for features, so they work with either.

This module imports none of these libraries at the top, because the check has to run first.
"""
import sys
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any
from warnings import filterwarnings

import torch
from packaging.requirements import Requirement

# Where OpenMMLab's own tools look for configs and tools, in a wheel as in a clone.
MIM = Path(__file__).parents[1] / '.mim'

CONFIG_PREFIX = 'cicam_mm::'


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_stack(version_of: Callable[[str], str | None] = installed_version) -> None:
    """Check that one family of the mm libraries is installed, within the bounds of setup.cfg.

    Full ``mmcv`` is accepted in place of ``mmcv-lite``. The error is not an ImportError, because
    mmengine's ``custom_imports`` would replace the message of one.

    Raises:
        RuntimeError: If both families, neither, or an incomplete one is installed, or a version
            is out of bounds; the message includes the command that fixes it. On Windows.
    """
    if sys.platform == 'win32':  # which has no fcntl
        raise RuntimeError('cicam_mm runs on Linux and macOS; on Windows, use it in WSL.')
    try:
        wanted = [Requirement(line) for line in metadata.requires('cicam_mm') or ()]
    except metadata.PackageNotFoundError:  # a clone that is not installed
        return
    upstream, onedl = ({each.name: each for each in wanted if each.name == 'torch' or (
        each.marker and each.marker.evaluate(dict(extra=family)))}
        for family in ('upstream', 'onedl'))
    found = [[name for name in names if version_of(name)] for names in (
        ('mmengine', 'mmcv-lite', 'mmcv', 'mmpretrain'), [*onedl][1:])]  # after torch
    if all(found):
        first, second = map(', '.join, found)
        raise RuntimeError(
            f"{first} and {second} are installed together although they overwrite each other's "
            f'files; keep one family: `pip uninstall -y {" ".join(sum(found, []))} && '
            f'{_install(upstream)}`.')
    family = onedl if found[1] else upstream
    for name, requirement in family.items():
        version = version_of(name) or (name == 'mmcv-lite' and version_of('mmcv'))
        if not version:
            raise RuntimeError(
                f'cicam_mm needs {name}, which is not installed: `{_install(family)}`.')
        if not requirement.specifier.contains(version, prereleases=True):
            raise RuntimeError(f'cicam_mm needs {name}{requirement.specifier}, but {version} is '
                               f'installed: `{_install(family)}`.')


def _install(family):
    return ' '.join(['pip install', *(f"'{name}{each.specifier}'"
                                      for name, each in family.items())])


def hide_stack_warnings() -> None:
    """Hide warnings of the mm libraries that appear on every run and that users cannot fix."""
    filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')  # mmcv-lite
    filterwarnings('ignore', '`broadcast_buffers` is deprecated')  # mmengine on torch >= 2.14


class Replaced(ContextDecorator):
    """Attributes of other packages that are replaced while someone is inside, in any thread.

    ``with data_only: ...`` or ``run = data_only(run)``; ``make`` gives the owner, the name and the
    replacement of each attribute.
    """

    def __init__(self, make: Callable[[], Sequence[tuple[Any, str, Any]]]):
        self._make = make
        self._lock, self._inside, self._before = Lock(), 0, []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                replacements = self._make()
                self._before = [(owner, name, vars(owner)[name])
                                for owner, name, _ in replacements]
                _put(replacements)
            self._inside += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _put(self._before)


def _put(attributes):
    for owner, name, value in attributes:
        setattr(owner, name, value)


@Replaced
def config_names():
    """Within it, configs may have ``_base_ = 'cicam_mm::PATH'``.

    mmengine supports this for a fixed list of packages only, requires PATH to begin with a
    folder, and looks up types in registries named after the package, whereas the classes of this
    package are in mmpretrain's.
    """
    from mmengine.config import Config

    find = Config._get_cfg_path

    def find_with_ours(cfg_path, filename):
        if cfg_path.startswith(CONFIG_PREFIX):
            return str(config_path(cfg_path)), None
        return find(cfg_path, filename)

    return [(Config, '_get_cfg_path', staticmethod(find_with_ours))]


def config_path(name: str) -> Path:
    """Path of a config of this package: ``cicam_mm::PATH``, relative to ``configs/``."""
    path = MIM / 'configs' / name.removeprefix(CONFIG_PREFIX)
    if not path.is_file():
        raise FileNotFoundError(f'cicam_mm has no config {name.removeprefix(CONFIG_PREFIX)}; its '
                                f'configs are in {MIM / "configs"}.')
    return path


def is_exporting() -> bool:
    """Whether ``torch.export`` is tracing, which supports neither NumPy nor custom gradients."""
    return getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)()  # new in 2.7
