"""What command lines do to configs before anything is built."""
import argparse
from collections.abc import Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path

import mmpretrain
from mmengine.config import Config, ConfigDict, DictAction
from mmpretrain.apis.model import ModelHub
from mmpretrain.registry import MODELS

from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.datasets.wrappers import leaf_configs, type_name
from cicam_mm.models.localized_classifier import LOCALIZER
from cicam_mm.utils import settings
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_json_mapping
from cicam_mm.utils.stack import CONFIG_PREFIX, config_path

ZOO_PREFIX = 'mmpretrain::'


def read_config(name: str | Path) -> Config:
    """Read a config by its path, or as ``cicam_mm::PATH`` or ``mmpretrain::PATH`` of a package.

    ``name`` may also be that of a model in MMPretrain's zoo, or the work directory of a training,
    whose newest config is taken. If there is none, or its code fails, this raises a UserError.
    """
    try:
        path = _find_config(str(name))
    except (UserError, FileNotFoundError) as error:
        raise UserError(f'cannot read the config {name}: {error}') from error
    return settings.read_config(str(path))


def _find_config(name):
    if name.startswith(CONFIG_PREFIX):
        return config_path(name)
    if name.startswith(ZOO_PREFIX):
        folder = Path(mmpretrain.__file__).parent / '.mim' / 'configs'
        return folder / name.removeprefix(ZOO_PREFIX)
    path = Path(name)
    if path.is_dir():
        found = max(path.glob('*.py'), key=lambda file: file.stat().st_mtime, default=None)
        if found is None:
            raise UserError('this folder holds no config; give the work directory of a training.')
        return found
    if not path.exists() and path.stem == name:
        with suppress(ValueError):  # the zoo has no such name
            return ModelHub.get(name).config.filename
    return path


def latest_checkpoint(work_dir: str) -> str | None:
    """The latest checkpoint of a work directory; None if there is none, or it is not a folder."""
    found = find_resumable(work_dir) if Path(work_dir).is_dir() else None
    return str(found) if found else None


def write_out_localizer(cfg: Config) -> None:
    """Give a config whose head has no ``localizer`` the head's default, in place.

    So settings of the command line change what they name and nothing else.
    """
    head = (cfg.get('model') or {}).get('head') or {}
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    option = signature(kind).parameters.get('localizer') if kind else None
    if option and isinstance(option.default, dict):
        head.setdefault('localizer', ConfigDict(option.default))


def parse_options(cfg: Config, texts: Sequence[str]) -> dict:
    """The settings that ``KEY=VALUE`` texts spell; keys of a list of one metric lead into it."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction, default={})
    options = vars(parser.parse_args(['--options', *texts] if texts else []))['options']
    return {_into_list(cfg, key): value for key, value in options.items()}


def _into_list(cfg, key):
    """``test_evaluator.iou_thr`` as ``test_evaluator.0.iou_thr`` where the first metric has it."""
    first, _, rest = key.partition('.')
    given = cfg.get(first)
    if not (isinstance(given, (list, tuple)) and rest and not rest[0].isdecimal()):
        return key
    if len(given) == 1:
        return f'{first}.0.{rest}'
    raise UserError(f'{first} is a list of {len(given)}; say which one {rest} belongs to, e.g. '
                    f'{first}.0.{rest}')


def localize_config(cfg: Config, method: str, target_layers: Sequence[str] = ()) -> None:
    """Let the config of any classifier localize, see :func:`localize_by`.

    Images are squashed as a whole, because boxes of a crop are not boxes of the image.
    """
    # VGG and Inception classify in the backbone
    counts = (part.get('num_classes') for part in (
        cfg.model.get('head'), cfg.model.get('backbone'), cfg.model) if part)
    classes = next(filter(None, counts), None)
    if classes is None:
        raise UserError('this config does not classify: neither its head nor its backbone has '
                        'num_classes.')
    cfg.model = dict(
        type='LocalizedClassifier', classifier=cfg.model,
        head=dict(type='MapsOfClassifier', method=method, target_layers=[*target_layers],
                  localizer=dict(LOCALIZER), num_classes=classes))
    for name in 'val_dataloader', 'test_dataloader':
        if cfg.get(name):
            for dataset in leaf_configs(cfg[name].dataset):
                dataset.pipeline = whole_image_pipeline(dataset.pipeline)


def whole_image_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """A test pipeline that squashes the whole image to the input size of the given one."""
    sizes = [step.get('crop_size') or step['scale'] for step in pipeline
             if type_name(step) in ('CenterCrop', 'EfficientNetCenterCrop', 'ResizeEdge')]
    if not sizes and any(type_name(step) == 'Resize' for step in pipeline):
        return [*pipeline]
    if not sizes:
        raise UserError('the test pipeline of this config does not define the size of the '
                        "network's input; add dict(type='CenterCrop', crop_size=...).")
    scale = (sizes[-1], sizes[-1]) if isinstance(sizes[-1], int) else tuple(sizes[-1])
    return [dict(type='LoadImageFromFile'), dict(type='Resize', scale=scale),
            dict(type='PackInputs')]


def use_data_of(cfg: Config, other: str) -> None:
    """Take the validation and test images, and their metrics, of another config."""
    data = read_config(other)
    for split in 'val', 'test':
        for part in 'dataloader', 'evaluator', 'cfg':
            if f'{split}_{part}' in data:
                cfg[f'{split}_{part}'] = data[f'{split}_{part}']
        cfg.setdefault(f'{split}_cfg', {})


def apply_settings(cfg: Config, found: Path | None, **given) -> None:
    """Set map rule, box rule and theta of a config's localizer in place.

    They come from ``found``, the ``search.json`` of a search for theta, unless they are ``given``.
    """
    chosen = {}
    if found:
        content = read_json_mapping(found)
        best = content.get('best', content)
        chosen = {key: best[key] for key in ('map_rule', 'box_rule', 'theta') if key in best}
        if not chosen:
            raise UserError(f'{found} holds no map rule, box rule or theta; give the search.json '
                            'of a search.')
    chosen |= {key: value for key, value in given.items() if value is not None}
    if chosen and not cfg.model.get('head'):
        raise UserError('this config has no head that localizes; add --cam.')
    if chosen:
        cfg.model.head.localizer = dict(cfg.model.head.get('localizer', {}), **chosen)
