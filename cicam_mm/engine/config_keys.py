"""Top-level settings of a config that nothing reads."""
import inspect
import re
from difflib import get_close_matches

from mmengine.config import Config
from mmengine.runner import Runner

from cicam_mm.errors import UserError

#: What a Runner, or what reads configs beside it, takes from the top level.
KNOWN_KEYS = {*inspect.signature(Runner).parameters} - {'cfg'} | {
    'runner_type', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'compile', 'train_pipeline', 'test_pipeline', 'tta_model', 'tta_pipeline', 'vis_backends',
    'dataset_type', 'data_root'}


def check_keys(cfg: Config) -> None:
    """Refuse a misspelt top-level setting, which would be ignored.

    Configs hold names of their own, too: what their text uses, and what resembles no setting, is
    left alone.

    Args:
        cfg (Config): A complete config, with what ``--cfg-options`` changed.

    Raises:
        UserError: A name resembles a setting that there is, and nothing reads it.
    """
    for key in cfg:
        if key in KNOWN_KEYS or _is_used(key, cfg.text or ''):
            continue
        if near := get_close_matches(key, KNOWN_KEYS, n=1, cutoff=0.84):
            raise UserError(f'nothing reads the setting {key} of the config; is {near[0]} meant?')


def _is_used(key, text):
    """Whether a text names it elsewhere than on the left of an assignment or in a comment."""
    code = re.sub(r'#.*', '', text)
    return re.search(rf'(?<![\w.\'"]){re.escape(key)}\b(?!\s*=[^=])|_base_\.{re.escape(key)}\b',
                     code) is not None
