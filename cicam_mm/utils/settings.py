"""Reading configs, and checking their settings against what takes them."""
import inspect
import logging
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
from mmengine.registry import Registry
from mmengine.runner import Priority, Runner, set_random_seed
from mmengine.utils import import_modules_from_strings
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain.models.utils.batch_augments import RandomBatchAugment
from torch.utils.data import DataLoader

from .errors import UserError
from .io import check_regular
from .stack import config_names


def read_config(path: str) -> Config:
    """Read a config; its ``_base_`` may be ``cicam_mm::PATH``."""
    try:
        check_regular(path)
        with config_names:
            return Config.fromfile(path)
    except Exception as error:
        name = '' if isinstance(error, OSError) else f'{type(error).__name__}: '
        raise UserError(f'cannot read the config {path}: {name}{error}') from error


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override settings of a config, as ``--cfg-options`` does."""
    for key, value in options.items():
        if (name := key.split('.')[0]) not in top_level_settings():
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
    """
    _check_names(cfg)
    read = {key: value for key, value in cfg.items() if key in top_level_settings()}
    if imports := read.get('custom_imports'):
        check_takers(dict(custom_imports=imports))
        import_modules_from_strings(**imports)  # a run of a sweep has not read the config's file
    check_takers(read)


def check_takers(read: Mapping[str, Any]) -> None:
    """Check some settings, such as those that inference uses; see :func:`check_settings`."""
    for path, settings, taker in find_takers(read):
        known, others = parameters(taker)
        known = known | _extras(path)
        name = getattr(taker, '__name__', str(taker))
        for key, value in settings.items():
            place = _dotted((*path, key))
            if key in known:
                kind, default = known[key]
                is_default = value is None and default is None
                # annotations often omit that there may be several
                several = isinstance(value, (list, tuple)) and taker not in (Runner, DataLoader)
                if not is_default and not _fits(value, kind) and not (
                        several and value and all(_fits(each, kind) for each in value)):
                    raise UserError(
                        f'the setting {place} is {value!r:.40}, but {name} takes '
                        f'{inspect.formatannotation(kind)}.')
                if key in _POSITIVE and isinstance(value, (int, float)) and value <= 0:
                    raise UserError(f'the setting {place} is {value}; it must be positive.')
            elif not others and key not in ('type', '_scope_'):
                raise UserError(f'the setting {place} does not exist: {name} has no {key}'
                                f'{_advice(key, known)}')


# Zero or less would end a run in the middle, or turn gradients around.
_POSITIVE = ('val_interval', 'step_size', 'base_batch_size', 'accumulative_counts', 'max_norm',
             'times', 'views')

_LEVEL = Literal[tuple(logging._nameToLevel)]
_PRIORITY = Literal[tuple(Priority.__members__)] | int

#: The default hooks of MMEngine's Runner, which it leaves out where they are None.
MMENGINE_HOOKS = (
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')

# What MMEngine reads from dicts where no function has it as arguments, by the dict's key.
_TABLES = {
    'Runner': dict(  # beside its arguments
        custom_imports=dict, log_level=_LEVEL, runner_type=str, sync_bn=str | None,
        model_wrapper_cfg=dict | None,
        find_unused_parameters=bool, compile=bool | dict, tta_model=dict, tta_pipeline=list,
        strategy=dict, activation_checkpointing=list, efficient_conv_bn_eval=list),
    'DataLoader': dict(  # likewise
        dataset=dict, sampler=dict | None, batch_sampler=dict | None, collate_fn=dict | None,
        worker_init_fn=dict | None, num_batch_per_epoch=int | None),
    'default_hooks': dict.fromkeys(MMENGINE_HOOKS, dict | None),
    'env_cfg': dict(cudnn_benchmark=bool, mp_cfg=dict, dist_cfg=dict, resource_limit=int),
    'set_multi_processing': dict(mp_start_method=Literal['fork', 'forkserver', 'spawn']),
    'dist_cfg': dict(backend=str, init_backend=str, timeout=float | None, init_method=str,
                     port=int | None),
    'auto_scale_lr': dict(base_batch_size=int, enable=bool),
    'paramwise_cfg': dict(
        custom_keys=dict, bypass_duplicate=bool, bias_lr_mult=float, bias_decay_mult=float,
        norm_decay_mult=float, flat_decay_mult=float, dwconv_decay_mult=float,
        dcn_offset_lr_mult=float, layer_decay_rate=float),
    'custom_keys': dict(lr_mult=float, decay_mult=float, lr=float, weight_decay=float,
                        momentum=float, lars_exclude=bool, fix_lr=bool),
    'clip_grad': dict(type=str, max_norm=float, norm_type=float, error_if_nonfinite=bool,
                      foreach=bool | None, clip_value=float),
    'custom_imports': dict(imports=str | list, allow_failed_imports=bool)}

# What takes dicts that have no type, by their key.
_TAKERS = {name: name for name in _TABLES} | {
    '': Runner, 'train_dataloader': DataLoader, 'val_dataloader': DataLoader,
    'test_dataloader': DataLoader, 'mp_cfg': set_multi_processing, 'randomness': set_random_seed}

# Where arguments go that a class takes as **kwargs.
_PASSED_ON = {CheckpointHook: [Runner.save_checkpoint],
              EMAHook: [ExponentialMovingAverage.__init__, MomentumAnnealingEMA.__init__]}

# The types of dicts that need not name it.
_DEFAULT_TYPES = {
    'localizer': 'CombinationalLocalizer', 'pool': 'CausalContextPool',
    'data_preprocessor': 'ClsDataPreprocessor', 'optim_wrapper': 'OptimWrapper',
    'train_cfg': 'EpochBasedTrainLoop', 'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop',
    'log_processor': 'LogProcessor'}

# Dicts whose type names no class, or one of packages that are not imported here.
_OTHER_TYPES = 'targets', 'strategy', 'map_rule', 'map_rules', 'box_rule'

# What is read from dicts beside the arguments of the class, and its kind, or a wider kind than the
# annotation of the argument.
_EXTRAS = {
    'default_hooks': dict(priority=_PRIORITY), 'custom_hooks': dict(priority=_PRIORITY),
    'train_cfg': dict(by_epoch=bool), 'norm_cfg': dict(requires_grad=bool),
    'optim_wrapper': dict(constructor=str | type, paramwise_cfg=dict | None,
                          loss_scale=float | str | dict),
    'param_scheduler': dict(convert_to_iter_based=bool),
    'init_cfg': dict(override=Any, layer=Any),
    'policies': dict(magnitude_key=str, magnitude_range=Any, magnitude_level=float)}


def _dotted(path):
    return '.'.join(map(str, path))


def _extras(path):
    keys = [key for key in path if isinstance(key, str)]
    return {name: (kind, inspect.Parameter.empty) for key in keys[-2:]
            for name, kind in _EXTRAS.get(key, {}).items()}


def find_takers(settings: Any, path: tuple = ()) -> Iterator[tuple[tuple, Mapping, Callable]]:
    """Yield the path of each dict that something takes, the dict, and what takes it."""
    items = ()
    if isinstance(settings, Mapping):
        if taker := _find_taker(settings, path):
            yield path, settings, taker
        items = settings.items()
    elif isinstance(settings, (list, tuple)):
        items = enumerate(settings)
    for key, value in items:
        if key not in _OTHER_TYPES:
            yield from find_takers(value, (*path, key))


def _find_taker(settings, path):
    keys, dotted = ['', '', *(key for key in path if isinstance(key, str))], _dotted(path)
    owner, key = keys[-2:]
    if owner == 'custom_keys':
        return 'custom_keys'
    if 'type' in settings and key != 'clip_grad':
        name = settings['type']
    elif dotted in _TAKERS:
        return _TAKERS[dotted]
    elif key == 'train_cfg' and owner:  # of a classifier, possibly inside another one
        return RandomBatchAugment
    elif key == 'train_cfg' and settings.get('by_epoch') is False:
        name = 'IterBasedTrainLoop'
    elif key in _DEFAULT_TYPES:
        name = _DEFAULT_TYPES[key]
    elif owner == 'default_hooks':
        raise UserError(f'the setting {dotted} lacks a type'
                        f'{_advice(key, _TABLES["default_hooks"])}')
    else:
        return None if key == 'custom_keys' else _TAKERS.get(key)
    if callable(name):
        return name
    if not isinstance(name, str):
        raise UserError(f'the setting {dotted}.type is {name!r:.40}, not the name of a class.')
    name = name.removeprefix('mmpretrain.')
    if '.' in name:  # of another package
        return None
    found = set()
    for registry in _registries():
        while registry is not None and name not in registry.module_dict:
            registry = registry.parent
        if registry is not None:
            found.add(registry.module_dict[name])
    if not found:
        known = {name for registry in _registries() for each in (registry, registry.parent)
                 if each is not None for name in each.module_dict}
        raise UserError(f'the setting {dotted}.type does not exist: there is no {name}'
                        f'{_advice(name, sorted(known))}')
    return found.pop() if len(found) == 1 else None  # two kinds of things have a few names


@cache
def _registries():
    """mmpretrain's registries and, where it has none of that name, those of mmengine."""
    found = {**vars(mmengine.registry), **vars(mmpretrain.registry)}.values()
    found = [each for each in found if isinstance(each, Registry)]
    for registry in found:
        registry.import_from_location()
    return found


@cache
def parameters(taker: Callable | str) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Kind and default of each argument by name, and whether there may be others.

    Base classes count as long as ``**kwargs`` are passed on to them.
    """
    name = taker if isinstance(taker, str) else getattr(taker, '__name__', '')
    table = _TABLES.get(name, {})
    found = {name: (kind, inspect.Parameter.empty) for name, kind in table.items()}
    if isinstance(taker, str):
        return found, taker == 'default_hooks'
    passed_on = [function for owner, functions in _PASSED_ON.items()
                 if inspect.isclass(taker) and issubclass(taker, owner) for function in functions]
    for function in [*passed_on, *_initializers(taker)]:
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
                    kind = Any  # None or several dicts, too
                found.setdefault(name, (kind, parameter.default))
        if passed_on:
            continue
        if rest is None:
            return found, False
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            return found, True
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


def _kind_of(default):
    """What an argument without an annotation takes; a wrong text could pass for True."""
    if isinstance(default, bool):
        return bool
    return float | AnySequence if isinstance(default, (int, float)) else Any


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
        if kind in (int, float):  # the class says which number
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, kind)
    group = origin or kind
    if not inspect.isclass(group) or group is Callable:
        return value is not None
    if issubclass(group, Mapping):
        return isinstance(value, Mapping)
    if group is Iterable or issubclass(group, (list, tuple, set, AnySequence)):
        kinds = [each for each in args if each is not ...]
        return isinstance(value, (list, tuple, set, range)) and all(
            not kinds or any(_fits(each, kind) for kind in kinds) for each in value)
    # an object, which a config describes as a dict or names
    if isinstance(value, str):
        return issubclass(group, (PurePath, torch.dtype, torch.device))
    return isinstance(value, group) or not isinstance(
        value, (NoneType, bool, int, float, list, tuple))


def _advice(name, known):
    near = get_close_matches(str(name), [each for each in known if each != 'self'], n=1)
    return f'; did you mean {near[0]}?' if near else '.'


@cache
def top_level_settings():
    return {*parameters(Runner)[0]} - {'cfg'}


def _unread(name, cfg):
    if _reads(cfg.text or '', name):
        return UserError(
            f'the setting {name} has no effect here: the base config has already copied its value '
            'into other settings; set those, as in train_dataloader.dataset.data_root.')
    return UserError(f'nothing reads the setting {name} of the config'
                     f'{_advice(name, top_level_settings())}')


def _reads(text, name):
    return re.search(rf'(?<![\w.\'"]){re.escape(name)}\b(?!\s*=[^=])|_base_\.{re.escape(name)}\b',
                     re.sub('#.*', '', text))


def _check_names(cfg):
    """Refuse top-level names that nothing reads.

    A config may have names of its own, if it uses them after it sets them: what a base config has
    copied into its settings does not change when a config that inherits it sets the name anew.
    """
    text = re.sub('#.*', '', cfg.text or '')
    own = text.rpartition(f'{cfg.filename}\n')[2]  # without those of its base configs
    # what MMEngine has written, sorted, or a script made, has the names, but not their uses
    names = re.findall(r'^(\w+) =', own, re.M)
    without_uses = '_base_' not in names and names == sorted(names)
    for name in cfg.keys() - top_level_settings():
        *before, behind = re.split(rf'(?m:^|= *){re.escape(name)}\s*=(?!=)', own)
        if f'_base_.{name}' in text or _reads(behind if before else text, name):
            continue
        in_base = not before and re.search(rf'\b{re.escape(name)}\b', text)
        usual = [each for each in top_level_settings() if not each.startswith('tta_')]
        if not (without_uses or in_base) or get_close_matches(name, usual, n=1, cutoff=0.84):
            raise _unread(name, cfg)
