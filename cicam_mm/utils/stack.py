"""Everything that depends on the versions of the mm libraries.

Two families of packages provide the modules ``mmengine``, ``mmcv`` and ``mmpretrain``:
OpenMMLab's own and the maintained fork ``onedl-*``. :func:`check_stack` ensures that exactly one
of them is installed. All other functions test for features, so they work with either.

This module imports none of these libraries at the top, because the check has to run first.
"""
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from importlib import metadata
from pathlib import Path
from warnings import filterwarnings

import torch
from packaging.specifiers import SpecifierSet

# Keep these bounds equal to those in setup.cfg.
TORCH = {'torch': '>=2.6'}

UPSTREAM = {
    'mmengine': '>=0.10.7,<0.11',
    'mmcv-lite': '>=2.2.0,<2.3',
    'mmpretrain': '>=1.2.0,<1.3',
    'setuptools': '<81',
}

ONEDL = {
    'onedl-mmengine': '>=0.10.12,<0.11',
    'onedl-mmcv': '>=2.3.6,<2.4',
    'onedl-mmpretrain': '>=1.3.6,<1.4',
}

# Where OpenMMLab's own tools look for configs and tools, in a wheel as in a clone.
MIM = Path(__file__).parents[1] / '.mim'

CONFIG_PREFIX = 'cicam_mm::'

# The options with which mmengine calls yapf; the second one where yapf is older than 0.40.2.
_MMENGINE_FORMATS_WITH = {'style_config', 'verify'}


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_stack(version_of: Callable[[str], str | None] = installed_version) -> None:
    """Check that one family of the mm libraries is installed, in versions known to work.

    Full ``mmcv`` is accepted in place of ``mmcv-lite``. The error is not an ImportError, because
    mmengine's ``custom_imports`` would replace the message of one.

    Args:
        version_of (Callable): Returns the version of a distribution, or None if it is not
            installed. Defaults to :func:`installed_version`.

    Raises:
        RuntimeError: If both families, neither, or an incomplete one is installed, or a version
            is out of bounds; the message includes the command that fixes it.
    """
    upstream = list(filter(version_of, ('mmengine', 'mmcv-lite', 'mmcv', 'mmpretrain')))
    onedl = list(filter(version_of, ONEDL))
    if upstream and onedl:
        raise RuntimeError(
            f'{", ".join(upstream)} and {", ".join(onedl)} are installed together although they '
            f'overwrite each other\'s files; keep one family: `pip uninstall -y '
            f'{" ".join(upstream + onedl)} && {_install_command(UPSTREAM)}`.'
        )
    family = ONEDL if onedl else UPSTREAM
    for name, bounds in (TORCH | family).items():
        version = version_of(name) or (name == 'mmcv-lite' and version_of('mmcv'))
        if not version:
            raise RuntimeError(
                f'cicam_mm needs {name}, which is not installed: `{_install_command(family)}`.'
            )
        if not SpecifierSet(bounds).contains(version, prereleases=True):
            raise RuntimeError(
                f'cicam_mm needs {name}{bounds}, but {version} is installed: '
                f'`{_install_command(family)}`.'
            )


def _install_command(family: Mapping[str, str]) -> str:
    requirements = (f"'{name}{bounds}'" for name, bounds in (TORCH | family).items())
    return f'pip install {" ".join(requirements)}'


def hide_stack_warnings() -> None:
    """Hide warnings of the mm libraries that appear on every run and that users cannot fix."""
    filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')  # mmcv-lite
    filterwarnings('ignore', '`broadcast_buffers` is deprecated')  # mmengine on torch >= 2.14


def config_path(name: str) -> Path:
    """Path of a config of this package.

    Args:
        name (str): ``cicam_mm::PATH``, with PATH relative to ``configs/``.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    path = MIM / 'configs' / name.removeprefix(CONFIG_PREFIX)
    if not path.is_file():
        raise FileNotFoundError(f'cicam_mm has no config {name.removeprefix(CONFIG_PREFIX)}; its '
                                f'configs are in {MIM / "configs"}.')
    return path


def allow_config_names() -> None:
    """Let any config inherit one of this package with ``_base_ = 'cicam_mm::PATH'``.

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

    Config._get_cfg_path = staticmethod(find_with_ours)


def remember_formatted_configs() -> None:
    """Format the text of a config once, not on each of its uses.

    mmengine has yapf format it for each checkpoint and log, half a second each time: a quarter of
    a training of the demo set. Where it imports yapf each time, yapf's own function is replaced;
    calls other than mmengine's pass through.
    """
    from mmengine.config import config
    from yapf.yapflib import yapf_api

    module = config if hasattr(config, 'FormatCode') else yapf_api  # imported once, or each time
    format_code = module.FormatCode

    @lru_cache(maxsize=16)
    def format_once(text, style, options):
        return format_code(text, style_config=dict(style), **dict(options))

    @wraps(format_code)
    def format_remembered(*args, **options):
        style = options.get('style_config')
        if (len(args) == 1 and isinstance(style, dict) and options.keys() <= _MMENGINE_FORMATS_WITH
                and all(isinstance(value, (str, int)) for value in style.values())):
            del options['style_config']
            return format_once(*args, tuple(style.items()), tuple(options.items()))
        return format_code(*args, **options)

    module.FormatCode = format_remembered


def is_exporting() -> bool:
    """Whether ``torch.export`` is tracing, which supports neither NumPy nor custom gradients."""
    return getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)()  # new in 2.7
