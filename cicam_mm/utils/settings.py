"""Reading configs, and checking their settings against what takes them."""
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as AnySequence
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import mmengine.registry
import mmpretrain.registry
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.model import ExponentialMovingAverage, MomentumAnnealingEMA
from mmengine.runner import Runner, set_random_seed
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain.models.utils.batch_augments import RandomBatchAugment
from torch.utils.data import DataLoader

from .errors import UserError
from .io import check_regular
from .stack import config_names


def read_config(path: str) -> Config:
    """Read a config; its ``_base_`` may be ``cicam_mm::PATH``.

    Raises:
        UserError: If that fails, for instance because the code of the config raises an error.
    """
    try:
        check_regular(path)
        with config_names:
            return Config.fromfile(path)
    except Exception as error:
        name = '' if isinstance(error, OSError) else f'{type(error).__name__}: '
        raise UserError(f'cannot read the config {path}: {name}{error}') from error


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override settings of a config, as ``--cfg-options`` does.

    Raises:
        UserError: If nothing reads a setting, or there is no such place in the config.
    """
    for key, value in options.items():
        if (name := key.split('.')[0]) not in _settings():
            raise _unread(name, cfg)
        try:
            cfg.merge_from_dict({key: value})
        except (AssertionError, AttributeError, LookupError, TypeError) as error:
            raise UserError(f'the setting {key} does not fit the config: {error}') from error


def check_settings(cfg: Config) -> None:
    """Check all settings of a config, before anything is built.

    Each dict with a type is compared with the signature of its class, including those of the base
    classes that its ``**kwargs`` go to, and each value with its annotation or, without one, with
    the type of its default. Dicts without a type are compared with what MMEngine reads from them.

    Raises:
        UserError: If nothing reads a setting, or its value is of another kind.
    """
    _check_names(cfg)
    read = {key: value for key, value in cfg.items() if key in _settings()}
    for path, settings, taker in find_takers(read):
        known, others = parameters(taker)
        known = _extras(path) | known
        name = getattr(taker, '__name__', str(taker)).strip('_')
        for key, value in settings.items():
            place = _dotted((*path, key))
            if key in known:
                kind, default = known[key]
                is_default = value is None and default is None
                if not is_default and not _fits(value, kind):
                    raise UserError(
                        f'the setting {place} is {_shorten(value)}, but {name} takes '
                        f'{_describe(kind)}.')
            elif not others and key not in ('type', '_scope_'):
                raise UserError(f'the setting {place} does not exist: {name} has no {key}'
                                f'{_advice(key, known)}')
            elif taker is _default_hooks and not _fits(value, dict | None):
                raise UserError(f'the setting {place} is {_shorten(value)}, not a dict or None.')


# The names and types of what MMEngine reads from dicts, where no function has them as arguments.

def _runner(custom_imports: dict, runner_type: str, sync_bn: str | None = None,
            find_unused_parameters: bool = False, model_wrapper_cfg: dict | None = None,
            compile: bool | dict = False, tta_model: dict | None = None,  # noqa: A002
            tta_pipeline: list | None = None, strategy: dict | None = None,
            activation_checkpointing: list | None = None,
            efficient_conv_bn_eval: list | None = None):
    """A Runner's settings that are not its arguments."""


def _dataloader(dataset: dict, sampler: dict | None, batch_sampler: dict | None = None,
                collate_fn: dict | None = None, worker_init_fn: dict | None = None,
                num_batch_per_epoch: int | None = None):
    """See ``Runner.build_dataloader``; the others are a DataLoader's."""


def _env_cfg(cudnn_benchmark: bool = False, mp_cfg: dict | None = None,
             dist_cfg: dict | None = None, resource_limit: int = 4096):
    """See ``Runner.setup_env``."""


def _dist_cfg(backend: str = 'nccl', init_backend: str = 'torch', timeout: float | None = None,
              init_method: str | None = None, port: int | None = None):
    """See ``mmengine.dist.init_dist``."""


def _auto_scale_lr(base_batch_size: int, enable: bool = False):
    """See ``Runner.scale_lr``."""


def _paramwise_cfg(custom_keys: dict | None = None, bias_lr_mult: float = 1,
                   bias_decay_mult: float = 1, norm_decay_mult: float = 1,
                   flat_decay_mult: float = 1, dwconv_decay_mult: float = 1,
                   dcn_offset_lr_mult: float = 1, bypass_duplicate: bool = False,
                   layer_decay_rate: float = 1):
    """See ``DefaultOptimWrapperConstructor`` and MMPretrain's for layer-wise decay."""


def _custom_key(lr_mult: float = 1, decay_mult: float = 1, lars_exclude: bool = False,
                fix_lr: bool = False,
                lr: float = 1, weight_decay: float = 0, momentum: float = 0):
    """See ``DefaultOptimWrapperConstructor``; the latter ones are those of optimizers."""


def _clip_grad(max_norm: float, norm_type: float = 2, type: str = 'norm',  # noqa: A002
               error_if_nonfinite: bool = False, foreach: bool | None = None,
               clip_value: float = 0):
    """See ``OptimWrapper``."""


def _custom_imports(imports: str | list, allow_failed_imports: bool = False):
    """See ``mmengine.utils.import_modules_from_strings``."""


def _backend_args(backend: str, path_mapping: dict | None = None, enable_mc: bool = True,
                  enable_multi_cluster: bool = False, conf_path: str | None = None,
                  server_list_cfg: str = '', client_cfg: str = '', sys_path: str | None = None,
                  db_path: str = '', readonly: bool = True, lock: bool = False,
                  readahead: bool = False):
    """See ``mmengine.fileio.backends``."""


def _default_hooks(runtime_info: dict | None = None, timer: dict | None = None,
                   sampler_seed: dict | None = None, logger: dict | None = None,
                   param_scheduler: dict | None = None, checkpoint: dict | None = None, **kwargs):
    """See ``Runner.register_default_hooks``."""


_UNTYPED = {
    '': Runner, 'train_dataloader': DataLoader, 'val_dataloader': DataLoader,
    'test_dataloader': DataLoader, 'env_cfg': _env_cfg, 'mp_cfg': set_multi_processing,
    'dist_cfg': _dist_cfg, 'randomness': set_random_seed, 'auto_scale_lr': _auto_scale_lr,
    'paramwise_cfg': _paramwise_cfg, 'clip_grad': _clip_grad,
    'custom_imports': _custom_imports, 'default_hooks': _default_hooks,
    'model.train_cfg': RandomBatchAugment, 'backend_args': _backend_args}
# Where arguments go that a class takes as **kwargs, or that MMEngine takes out before.
_ADDED = {Runner: [_runner], DataLoader: [_dataloader], CheckpointHook: [Runner.save_checkpoint],
          EMAHook: [ExponentialMovingAverage.__init__, MomentumAnnealingEMA.__init__]}

# The registries of types by the key of a dict; other keys have that of the dict around them.
_REGISTRIES = {
    'model': 'MODELS', 'backbone': 'MODELS', 'neck': 'MODELS', 'head': 'MODELS',
    'act_cfg': 'MODELS', 'norm_cfg': 'MODELS', 'data_preprocessor': 'MODELS',
    'localizer': 'TASK_UTILS',
    'init_cfg': 'WEIGHT_INITIALIZERS', 'augments': 'BATCH_AUGMENTS', 'dataset': 'DATASETS',
    'datasets': 'DATASETS', 'pipeline': 'TRANSFORMS', 'transforms': 'TRANSFORMS',
    'sampler': 'DATA_SAMPLERS', 'batch_sampler': 'DATA_SAMPLERS', 'collate_fn': 'FUNCTIONS',
    'worker_init_fn': 'FUNCTIONS', 'val_evaluator': 'METRICS', 'test_evaluator': 'METRICS',
    'metrics': 'METRICS', 'default_hooks': 'HOOKS', 'custom_hooks': 'HOOKS',
    'optim_wrapper': 'OPTIM_WRAPPERS', 'optimizer': 'OPTIMIZERS',
    'param_scheduler': 'PARAM_SCHEDULERS', 'visualizer': 'VISUALIZERS',
    'vis_backends': 'VISBACKENDS', 'train_cfg': 'LOOPS', 'val_cfg': 'LOOPS', 'test_cfg': 'LOOPS',
    'log_processor': 'LOG_PROCESSORS', 'model_wrapper_cfg': 'MODEL_WRAPPERS'}
_ALSO = dict(METRICS=['EVALUATOR'], WEIGHT_INITIALIZERS=['MODELS'], BATCH_AUGMENTS=['MODELS'])

# The types of dicts that need not name it.
_DEFAULT_TYPES = {
    'localizer': 'CombinationalLocalizer', 'pool': 'CausalContextPool',
    'data_preprocessor': 'ClsDataPreprocessor', 'optim_wrapper': 'OptimWrapper',
    'train_cfg': 'EpochBasedTrainLoop', 'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop',
    'log_processor': 'LogProcessor'}

# Dicts whose type names no class, or one of packages that are not imported here.
_OTHER_TYPES = 'targets', 'strategy', 'map_rule', 'box_rule'

# What is read from dicts beside the arguments of the class, and its kind.
_EXTRAS = {
    'default_hooks': dict(priority=int | str), 'custom_hooks': dict(priority=int | str),
    'train_cfg': dict(by_epoch=bool), 'norm_cfg': dict(requires_grad=bool),
    'optim_wrapper': dict(constructor=str | type, paramwise_cfg=dict | None),
    'param_scheduler': dict(convert_to_iter_based=bool),
    'init_cfg': dict(override=Any, layer=Any),
    'policies': dict(magnitude_key=str, magnitude_range=Any, magnitude_level=float)}


def _dotted(path):
    return '.'.join(map(str, path))


def _extras(path):
    keys = [key for key in path if isinstance(key, str)]
    return {name: (kind, inspect.Parameter.empty) for key in keys[-2:]
            for name, kind in _EXTRAS.get(key, {}).items()}


def find_takers(settings: Any, path: tuple = (), registry: str = '') -> Iterator[
        tuple[tuple, Mapping, Callable]]:
    """Yield the path of each dict that something takes, the dict, and what takes it.

    Raises:
        UserError: If there is no such type.
    """
    keys = ['', *(key for key in path if isinstance(key, str))]
    if keys[-2:-1] != ['default_hooks']:
        registry = _REGISTRIES.get(keys[-1], registry)
    if isinstance(settings, Mapping):
        if taker := _find_taker(settings, path, keys, registry):
            yield path, settings, taker
        items = settings.items()
    elif isinstance(settings, (list, tuple)):
        items = enumerate(settings)
    else:
        if keys[-1] in _REGISTRIES and isinstance(path[-1], int) and isinstance(
                settings, (NoneType, bool, int, float, str)):
            raise UserError(f'the setting {_dotted(path)} is {_shorten(settings)}, not a dict.')
        return
    for key, value in items:
        if key not in _OTHER_TYPES:
            yield from find_takers(value, (*path, key), registry)


def _find_taker(settings, path, keys, registry):
    key, dotted = keys[-1], _dotted(path)
    if keys[-2:-1] == ['custom_keys']:
        return _custom_key
    if 'type' not in settings or key == 'clip_grad':
        if dotted in _UNTYPED:
            return _UNTYPED[dotted]
        name = _DEFAULT_TYPES.get(key)
        if key == 'train_cfg' and settings.get('by_epoch') is False:
            name = 'IterBasedTrainLoop'
        if name is None:
            if keys[-2] == 'default_hooks':
                raise UserError(f'the setting {dotted} lacks a type'
                                f'{_advice(key, inspect.signature(_default_hooks).parameters)}')
            if key in _REGISTRIES and key not in _UNTYPED:
                raise UserError(f'the setting {dotted} lacks a type.')
            return _UNTYPED.get(key)
    else:
        name = settings['type']
    if not isinstance(name, str):
        if callable(name):
            return name
        raise UserError(f'the setting {dotted}.type is {_shorten(name)}, not the name of a class.')
    registries = [registry, *_ALSO.get(registry, [])] if registry else [
        each for each in vars(mmpretrain.registry) if re.fullmatch('(?!MMENGINE)[A-Z_]+', each)]
    known = []
    for each in map(_registry, registries):
        if (found := each.get(name)) is not None:
            return found
        while each is not None:
            known += each.module_dict
            each = each.parent
    raise UserError(f'the setting {dotted}.type does not exist: there is no {name}'
                    f'{_advice(name, known)}')


def _registry(name):
    owner = mmpretrain.registry if hasattr(mmpretrain.registry, name) else mmengine.registry
    return getattr(owner, name)


@cache
def parameters(taker: Callable) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Kind and default of each argument by name, and whether there may be others.

    Base classes count as long as ``**kwargs`` are passed on to them.
    """
    found, added = {}, [function for owner, functions in _ADDED.items() if taker is owner or (
        inspect.isclass(taker) and issubclass(taker, owner)) for function in functions]
    for function in [*added, *_initializers(taker)]:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return found, True  # written in C
        try:
            hints = get_type_hints(function)
        except Exception:  # a name that only type checkers know
            hints = {}
        rest = None
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                rest = name
            elif parameter.kind is not parameter.VAR_POSITIONAL and name != 'self':
                kind = hints.get(name, _kind_of(parameter.default))
                if isinstance(parameter.default, dict) or name == 'init_cfg':
                    kind = kind | None
                found.setdefault(name, (kind, parameter.default))
        if added:
            continue
        if rest is None:
            return found, False
        source = _source(function)
        found |= {name: (Any, None) for name in re.findall(
            rf'\b{rest}(?:\.(?:pop|get|setdefault)\(|\[)[\'"](\w+)', source) if name not in found}
        if not re.search(rf'\.__init__\((?:[^()]|\([^()]*\))*\*\*{rest}\b', source):
            return found, True
    return found, False


def _initializers(taker):
    if not inspect.isclass(taker):
        return [taker]
    return [vars(base)['__init__'] for base in taker.__mro__
            if '__init__' in vars(base) and base not in (object, torch.nn.Module)]


def _source(function):
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ''


def _kind_of(default):
    """What an argument without an annotation takes."""
    match default:
        case bool():
            return bool
        case int() | float():
            return float | AnySequence
        case str():
            return str | dict  # such as the name of an arch, or its numbers
        case list() | tuple():
            return AnySequence | dict | float
        case dict():
            return dict | None
    return Any


def _fits(value, kind):
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in args)
    if origin is Literal:
        return value in args
    if kind in (None, NoneType):
        return value is None
    if isinstance(kind, (TypeVar, str)) or kind in (Any, object, inspect.Parameter.empty):
        return True
    if kind in (bool, int, float, str):
        if isinstance(value, (list, tuple)):  # annotations often omit that there may be several
            return len(value) > 0 and all(_fits(each, kind) for each in value)
        if kind in (int, float):  # the class says which number
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, kind)
    group = origin or kind
    if not inspect.isclass(group) or group is Callable:
        return value is not None
    if issubclass(group, Mapping):
        inner = value if isinstance(value, (list, tuple)) else [value]
        return inner != [] and all(isinstance(each, Mapping) for each in inner)
    if issubclass(group, Iterable) and issubclass(group, (list, tuple, set, AnySequence)) or (
            group is Iterable):
        kinds = [each for each in args if each is not ...]
        return isinstance(value, (list, tuple, set, range)) and all(
            not kinds or any(_fits(each, kind) for kind in kinds) for each in value)
    # an object, which a config describes as a dict or names
    if isinstance(value, str):
        return issubclass(group, (PurePath, torch.dtype, torch.device))
    return isinstance(value, group) or not isinstance(value, (NoneType, bool, int, float))


def _describe(kind):
    words = {bool: 'True or False', int: 'an integer', float: 'a number', str: 'a text',
             None: 'None', NoneType: 'None'}
    if get_origin(kind) in (Union, UnionType):
        return ' or '.join(dict.fromkeys(map(_describe, get_args(kind))))
    if get_origin(kind) is Literal:
        return ' or '.join(map(repr, get_args(kind)))
    group = get_origin(kind) or kind
    if kind in words:
        return words[kind]
    if inspect.isclass(group) and issubclass(group, Mapping):
        return 'a dict'
    if inspect.isclass(group) and issubclass(group, Iterable):
        inner = ' or '.join(dict.fromkeys(_describe(each) for each in get_args(kind)
                                          if each is not ...))
        return f'a list of {inner}' if inner and '~' not in inner else 'a list'
    return f'a {getattr(group, "__name__", group)}'


def _shorten(value):
    text = repr(value)
    return text if len(text) <= 40 else f'{text[:37]}...'


def _advice(name, known):
    near = get_close_matches(str(name), [each for each in known if each != 'self'], n=1)
    return f'; did you mean {near[0]}?' if near else '.'


@cache
def _settings():
    return {*parameters(Runner)[0]} - {'cfg'}


def _unread(name, cfg):
    if re.search(_use(name), _code(cfg)):
        return UserError(
            f'the setting {name} has no effect here: the base config has already copied its value '
            'into other settings; set those, as in train_dataloader.dataset.data_root.')
    return UserError(f'nothing reads the setting {name} of the config'
                     f'{_advice(name, _settings())}')


def _code(cfg):
    return re.sub(r'#.*', '', cfg.text or '')


def _use(name):
    return (rf'(?<![\w.\'"]){re.escape(name)}\b(?!\s*=[^=])|'
            rf'_base_\.{re.escape(name)}\b')


def _check_names(cfg):
    """Refuse top-level names that nothing reads.

    A config may have names of its own, if it uses them after it sets them: what a base config has
    copied into its settings does not change when a config that inherits it sets the name anew.
    """
    text = _code(cfg)
    own = text.rpartition(f'{cfg.filename}\n')[2]  # without those of its base configs
    # what MMEngine has written, sorted, or a script made, has the names, but not their uses
    names = re.findall(r'^(\w+) =', own, re.M)
    without_uses = '_base_' not in names and names == sorted(names)
    for name in cfg.keys() - _settings():
        *before, behind = re.split(rf'(?m:^|= *){re.escape(name)}\s*=(?!=)', own)
        if f'_base_.{name}' in text or re.search(_use(name), behind if before else text):
            continue
        is_used = without_uses or re.search(_use(name), text)
        if is_used and any(_holds(cfg[other], cfg[name]) for other in _settings() & cfg.keys()):
            continue
        in_base = not before and re.search(rf'\b{re.escape(name)}\b', text)
        usual = [each for each in _settings() if not each.startswith('tta_')]
        if not (without_uses or in_base) or get_close_matches(name, usual, n=1, cutoff=0.84):
            raise _unread(name, cfg)


def _holds(settings, value):
    if settings == value:
        return True
    inner = settings.values() if isinstance(settings, Mapping) else (
        settings if isinstance(settings, (list, tuple)) else ())
    return any(_holds(each, value) for each in inner)
