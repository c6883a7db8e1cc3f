"""Reading configs and checking their settings."""
import inspect
import re
from difflib import get_close_matches

from mmengine.config import Config
from mmengine.runner import Runner

from .errors import UserError
from .stack import config_names


def read_config(path: str) -> Config:
    """Read a config; its ``_base_`` may be ``cicam_mm::PATH``.

    Raises:
        UserError: If that fails, for instance because the code of the config raises an error.
    """
    try:
        with config_names:
            return Config.fromfile(path)
    except Exception as error:
        name = '' if isinstance(error, OSError) else f'{type(error).__name__}: '
        raise UserError(f'cannot read the config {path}: {name}{error}') from error


#: Top-level settings that a Runner or another reader of configs uses.
KNOWN_KEYS = {*inspect.signature(Runner).parameters} - {'cfg'} | {
    'runner_type', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'compile', 'train_pipeline', 'test_pipeline', 'tta_model', 'tta_pipeline', 'vis_backends',
    'dataset_type', 'data_root'}


def check_keys(cfg: Config) -> None:
    """Refuse a misspelt top-level setting, which would otherwise be ignored.

    Configs may also define names of their own: a name that the text of the config uses, or that
    resembles no setting, is allowed.

    Args:
        cfg (Config): A complete config, after ``--cfg-options``.

    Raises:
        UserError: If a name that nothing reads resembles a setting.
    """
    for key in cfg:
        if key in KNOWN_KEYS or _is_used(key, cfg.text or ''):
            continue
        if near := get_close_matches(key, KNOWN_KEYS, n=1, cutoff=0.84):
            raise UserError(f'nothing reads the setting {key} of the config; did you mean '
                            f'{near[0]}?')


def _is_used(key, text):
    """Whether the text uses the name, other than to assign it or in a comment."""
    code = re.sub(r'#.*', '', text)
    return re.search(rf'(?<![\w.\'"]){re.escape(key)}\b(?!\s*=[^=])|_base_\.{re.escape(key)}\b',
                     code) is not None
