"""The test protocol of a run; numbers of different protocols do not compare."""
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator

from cicam_mm.datasets.wrappers import leaf_configs
from cicam_mm.utils.io import to_json, write_atomically

from .pooled_metric import curves_of

#: Settings of a test set that decide which images it holds, and how they are labelled.
SELECTING = ('num_images', 'seed', 'placement', 'rho', 'label', 'list_root', 'ann_file',
             'box_file', 'indices', 'classes')

#: Settings of metrics that change no number.
NEUTRAL = {'type', 'prefix', 'collect_device', 'collect_dir', 'topk', 'frame'}

NOT_TOLD = 'not told by the config'


def describe_protocol(cfg: Config,
                      loader: str = 'test_dataloader',
                      num_images: int | None = None) -> dict[str, str]:
    """Describe everything besides the weights on which localization results depend.

    Args:
        cfg (Config): A complete config.
        loader (str): 'val_dataloader' for validation results. Defaults to 'test_dataloader'.
        num_images (int, optional): The number of tested images, which a config does not tell.
            Defaults to None, not recorded.

    Returns:
        dict[str, str]: A phrase for each of ``views``, ``boxes``, ``localizer``, ``images``,
        ``criteria`` and, if given, ``number of images``.
    """
    datasets = leaf_configs(cfg[loader].dataset)
    localizer = dict(cfg.model.get('head', {}).get('localizer', {}))
    frame = localizer.pop('frame', None)
    options = ', '.join(f'{name} {value}' for name, value in sorted(localizer.items()))
    protocol = {
        'views': ' and '.join(dict.fromkeys(map(_describe_views, datasets))),
        'boxes': "in pixels of the network's input" if frame == 'input' else
                 'in pixels of the original image',
        'localizer': options or "the head's defaults",
        'images': ' and '.join(map(_describe_images, datasets)),
        'criteria': describe_criteria(cfg.get(loader.replace('dataloader', 'evaluator'))),
    }
    return protocol if num_images is None else {**protocol, 'number of images': str(num_images)}


def _describe_views(dataset):
    views = [*_views(dataset.pipeline)] if 'pipeline' in dataset else [NOT_TOLD]
    if len(views) > 1:
        return f'{len(views)} views, the last one localizes: {"; ".join(views)}'
    return views[0]


def _describe_images(dataset):
    images = [str(dataset[key]) for key in ('split', 'data_prefix', 'data_root')
              if dataset.get(key)]
    images += [f'{key} {_value(dataset[key])}' for key in SELECTING
               if dataset.get(key) not in (None, '')]
    return ', '.join([_name(dataset), *images])


def describe_criteria(evaluator: Mapping | Sequence[Mapping] | None) -> str:
    """A phrase for the settings of metrics on which their numbers depend.

    Args:
        evaluator (Mapping | Sequence[Mapping], optional): Configs of metrics.
    """
    configs = [evaluator] if isinstance(evaluator, Mapping) else evaluator or ()
    return '; '.join(_criterion(config) for config in configs if 'type' in config) or NOT_TOLD


def warn_of_differences(protocols: Sequence[Mapping[str, str]]) -> str:
    """A sentence if numbers of these protocols do not compare, otherwise an empty text.

    The localizer is not compared, because it belongs to the method; neither is what only some of
    the protocols tell. Criteria are compared for each metric that several protocols have.

    Args:
        protocols (Sequence[Mapping[str, str]]): From :func:`describe_protocol`.
    """
    known = [{key: protocol[key] for key in protocol if key not in ('localizer', 'criteria')}
             | _by_metric(protocol.get('criteria', '')) for protocol in protocols]
    differing = [key for key in dict.fromkeys(key for entries in known for key in entries)
                 if len({entries[key] for entries in known if key in entries}) > 1]
    if not differing:
        return ''
    return (f'These runs were tested in different ways ({", ".join(differing)}); compare only '
            'numbers of one protocol.')


def _by_metric(criteria):
    phrases = {}
    for phrase in filter(None, criteria.split('; ')):
        phrases.setdefault(f'criteria of {phrase.split(" (")[0]}', []).append(phrase)
    return {metric: '; '.join(sorted(found)) for metric, found in phrases.items()}


def _criterion(metric):
    name = _name(metric)
    settings = _defaults(getattr(sys.modules[__package__], name, None)) | dict(metric)
    phrases = [f'{key} {_value(settings[key])}' for key in settings if key not in NEUTRAL]
    return f'{name} ({", ".join(phrases)})' if phrases else name


def _defaults(kind):
    options = signature(kind).parameters.values() if kind else ()
    return {option.name: option.default for option in options
            if option.default is not option.empty}


def _value(value: Any) -> str:
    """A value as a short text; lists of many have a checksum instead."""
    if isinstance(value, (list, tuple)):
        value = [*value]
        if len(value) > 4:
            return f'{len(value)} of checksum {crc32(str(value).encode()):08x}'
    return str(value)


def _views(pipeline: Sequence[dict]) -> Iterator[str]:
    for step in pipeline:
        if _name(step) == 'TestTimeAug':
            for view in product(*step['transforms']):
                yield _describe(view)
            return
    yield _describe(pipeline)


def _describe(steps: Iterable[dict]) -> str:
    phrases, size, is_crop = [], None, False
    for step in steps:
        kind = _name(step)
        if kind == 'Resize':
            size = _pair(step.get('scale'))
            how = 'fitted' if step.get('keep_ratio') else 'squashed'
            phrases.append(f'{how} to {size[0]} x {size[1]}' if size else
                           f'scaled by {step.get("scale_factor")}')
            phrases[-1] += _resampling(step)
        elif kind == 'ResizeEdge':
            phrases.append(f'{step.get("edge", "short")} side {step["scale"]}{_resampling(step)}')
        elif kind.endswith('Crop'):
            cropped = _pair(step.get('crop_size', step.get('scale')))
            if cropped != size:  # otherwise nothing is cropped
                is_crop = True
                pixels = ' x '.join(map(str, dict.fromkeys(cropped or ('unknown', ))))
                phrases.append(f'{"centre " * (kind == "CenterCrop")}{pixels} pixels')
    return ': '.join(filter(None, ('crop' if is_crop else 'whole image', ', '.join(phrases))))


def _resampling(step):
    """How a step resizes, unless it does as mmcv does by default."""
    usual = dict(backend='cv2', interpolation='bilinear')
    told = [step[key] for key in usual if step.get(key, usual[key]) != usual[key]]
    return f' ({", ".join(told)})' if told else ''


def _name(config: dict) -> str:
    """Name of the class in a config, which may be a string or the class itself."""
    kind = config['type']
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def _pair(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size and tuple(size)


def write_metrics(path: Path, metrics: dict, evaluator: Evaluator, protocol: dict) -> None:
    """Write metrics as JSON, on the main process only.

    The file also holds the ``protocol`` of the test and the ``curves`` behind the metrics.

    Args:
        path (Path): The file, which is written atomically.
        metrics (dict): The metrics returned by an evaluator.
        evaluator (Evaluator): That evaluator.
        protocol (dict): From :func:`describe_protocol`.
    """
    if is_main_process():
        content = {**metrics, 'protocol': protocol}
        if curves := curves_of(evaluator):
            content['curves'] = curves
        write_atomically(path, to_json(content, indent=2) + '\n')
