"""Description of a config's test protocol; numbers of different protocols do not compare."""
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from mmengine.config import Config


def describe_protocol(cfg: Config, loader: str = 'test_dataloader') -> dict[str, str]:
    """Describe everything besides the weights on which localization results depend.

    Args:
        cfg (Config): A complete config.
        loader (str): 'val_dataloader' for validation results. Defaults to 'test_dataloader'.

    Returns:
        dict[str, str]: A phrase for each of ``views``, ``boxes``, ``localizer`` and ``images``.
    """
    dataset = cfg[loader].dataset
    while 'dataset' in dataset:  # a wrapper
        dataset = dataset.dataset
    views = [*_views(dataset.pipeline)] if 'pipeline' in dataset else ['not told by the config']
    if len(views) > 1:
        views = [f'{len(views)} views, the last one localizes: {"; ".join(views)}']
    localizer = dict(cfg.model.get('head', {}).get('localizer', {}))
    frame = localizer.pop('frame', None)
    options = ', '.join(f'{name} {value}' for name, value in sorted(localizer.items()))
    images = [str(dataset[key]) for key in ('split', 'data_prefix', 'data_root')
              if dataset.get(key)]
    images += [f'{key} {dataset[key]}' for key in ('num_images', 'seed', 'placement')
               if key in dataset]
    return {
        'views': views[0],
        'boxes': "in pixels of the network's input" if frame == 'input' else
                 'in pixels of the original image',
        'localizer': options or "the head's defaults",
        'images': ', '.join([_name(dataset), *images]),
    }


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
        elif kind == 'ResizeEdge':
            phrases.append(f'{step.get("edge", "short")} side {step["scale"]}')
        elif kind.endswith('Crop'):
            cropped = _pair(step.get('crop_size', step.get('scale')))
            if cropped != size:  # otherwise nothing is cropped
                is_crop = True
                pixels = ' x '.join(map(str, dict.fromkeys(cropped or ('unknown', ))))
                phrases.append(f'{"centre " * (kind == "CenterCrop")}{pixels} pixels')
    return ': '.join(filter(None, ('crop' if is_crop else 'whole image', ', '.join(phrases))))


def _name(config: dict) -> str:
    """Name of the class in a config, which may be a string or the class itself."""
    kind = config['type']
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def _pair(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size and tuple(size)
