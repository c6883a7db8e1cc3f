"""The test protocol of a run: the settings on which its numbers depend, besides the weights."""
import json
from collections.abc import Mapping, Sequence
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS, TASK_UTILS

from cicam_mm.datasets.wrappers import leaf_configs, type_name
from cicam_mm.utils.io import to_json, write_atomically

from .pooled_metric import curves_of

#: Transforms that load or pack, but do not decide what the network sees.
NEUTRAL_STEPS = ('Load', 'Pack')

#: Settings that change no number.
NEUTRAL = {'pipeline', 'test_mode', 'lazy_init', 'serialize_data', 'max_refetch', 'prefix',
           'collect_device', 'collect_dir', 'topk', 'frame'}


def describe_protocol(cfg: Config, loader: str = 'test_dataloader',
                      num_images: int | None = None) -> dict[str, Any]:
    """The settings on which localization results depend, as plain data that JSON can hold.

    ``views`` are the transforms of each view, of which the last one localizes; ``images`` is the
    data set with what it wraps; ``criteria``, see :func:`describe_criteria`. Nothing of the config
    is built.
    """
    dataset, of_leaves = cfg[loader].dataset, []
    for leaf in leaf_configs(dataset):
        if (views := _views(leaf.get('pipeline', ()))) not in of_leaves:
            of_leaves.append(views)
    localizer = cfg.model.get('head', {}).get('localizer') or {}
    protocol = dict(
        views=sum(of_leaves, []),
        frame=localizer.get('frame', 'original'),
        localizer=localizer and _settings(
            dict(dict(type='CombinationalLocalizer'), **localizer), TASK_UTILS),
        images=_plain(dataset),
        criteria=describe_criteria(cfg.get(loader.replace('dataloader', 'evaluator'))))
    return protocol if num_images is None else dict(protocol, num_images=num_images)


def describe_criteria(evaluator: Mapping | Sequence[Mapping] | None) -> dict[str, list]:
    """The settings, defaults included, of each metric by name; a list where a name repeats."""
    criteria = {}
    for config in [evaluator] if isinstance(evaluator, Mapping) else evaluator or ():
        if 'type' in config:
            settings = _settings(config, METRICS)
            criteria.setdefault(settings.pop('type'), []).append(settings)
    return criteria


def warn_of_differences(protocols: Sequence[Mapping[str, Any]]) -> str:
    """A sentence if numbers of these protocols do not compare, otherwise an empty text.

    The localizer is not compared, because it belongs to the method; neither is what only some of
    the protocols hold. Criteria are compared for each metric that several protocols have.
    """
    entries = {}
    for protocol in protocols:
        criteria = protocol.get('criteria', {})
        named = {f'criteria of {name}': value for name, value in criteria.items()}
        for key, value in {**protocol, **named}.items():
            if key not in ('localizer', 'criteria'):
                entries.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
    differing = ', '.join(key for key, values in entries.items() if len(values) > 1)
    return differing and (f'These runs were tested in different ways ({differing}); '
                          'compare only numbers of one protocol.')


def protocol_text(value: Any) -> str:
    """A part of a protocol as a short text; views are set off by semicolons."""
    if isinstance(value, Mapping):
        settings = ', '.join(f'{key}={protocol_text(part)}' for key, part in value.items()
                             if key != 'type')
        return f'{value["type"]}({settings})' if 'type' in value else settings
    if isinstance(value, list) and value and all(isinstance(part, list) for part in value):
        return '; '.join(', '.join(map(protocol_text, view)) for view in value)
    if isinstance(value, list):
        return f'[{", ".join(map(protocol_text, value))}]'
    return str(value)


def _views(pipeline: Sequence[dict]) -> list[list]:
    views = next((product(*step['transforms']) for step in pipeline
                  if type_name(step) == 'TestTimeAug'), [pipeline])
    return [[_plain(step) for step in view if not type_name(step).startswith(NEUTRAL_STEPS)]
            for view in views]


def _settings(config: Mapping, registry) -> dict:
    """The settings of a component, defaults included."""
    # looked up by its bare name, since looking up a path would import a module
    kind = registry.module_dict.get(type_name(config))
    options = signature(kind).parameters.values() if kind else ()
    return _plain({option.name: option.default for option in options
                   if option.default is not option.empty} | dict(config))


def _plain(value: Any) -> Any:
    """A setting as plain data; a list of many entries becomes its length and checksum."""
    if isinstance(value, Mapping):
        plain = {key: _plain(part) for key, part in value.items() if key not in NEUTRAL | {'type'}}
        return {'type': type_name(value), **plain} if 'type' in value else plain
    if isinstance(value, (list, tuple)):
        if len(value) > 20:
            return f'{len(value)} of checksum {crc32(str([*value]).encode()):08x}'
        return [*map(_plain, value)]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def write_metrics(path: Path, metrics: dict, evaluator: Evaluator, protocol: dict) -> None:
    """Write an evaluator's metrics as JSON, on the main process only.

    The file also holds the ``protocol`` of the test, the ``curves`` behind the metrics, and the
    results ``per_class`` of :class:`WSOLMetric`.
    """
    if is_main_process():
        content = {**metrics, 'protocol': protocol}
        if curves := curves_of(evaluator):
            content['curves'] = curves
        for metric in evaluator.metrics:
            if found := getattr(metric, 'per_class', None):
                content['per_class'] = found
        # tensors, such as a confusion matrix, become lists
        write_atomically(path, to_json(content, indent=2, default=lambda x: x.tolist()) + '\n')
