"""The data sets inside wrappers such as ConcatDataset and RepeatDataset, built or as configs."""
from collections.abc import Iterator, Mapping
from functools import partial

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch.utils.data import Dataset

from cicam_mm.utils.errors import UserError

from .classes import check_same_classes


def type_name(config: Mapping) -> str:
    """Name of the class in a config, without its scope; the type may be the class itself."""
    kind = config['type']
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def build_dataset(config: Mapping) -> Dataset:
    """Build a data set whose config has names of MMPretrain's registry, whatever the scope."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(config)


def leaves(dataset: Dataset) -> list[Dataset]:
    """The data sets that load images: the given one, or in their order those that it wraps."""
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', ())
    return [leaf for part in inner for leaf in leaves(part)] or [dataset]


def pipelines(dataset: Dataset) -> list[list]:
    """The transforms of each of the leaves, without those leaves that have no pipeline."""
    found = (getattr(leaf, 'pipeline', None) for leaf in leaves(dataset))
    return [list(pipeline.transforms) for pipeline in found if hasattr(pipeline, 'transforms')]


def metainfo_of(dataset: Dataset) -> dict:
    """``metainfo`` of a data set, or of the first leaf that it wraps.

    Raises:
        UserError: If its leaves have different classes.
    """
    found = [getattr(leaf, 'metainfo', {}) for leaf in leaves(dataset)]
    check_same_classes({f'part {number} of a data set': metainfo
                        for number, metainfo in enumerate(found, 1)} if len(found) > 1 else {})
    return getattr(dataset, 'metainfo', None) or found[0]


def _count_on(results, offset):
    """The first transform of a leaf, which counts on from the images of the leaves before it."""
    return dict(results, sample_idx=results['sample_idx'] + offset)


def number_images(dataset: Dataset) -> None:
    """Make ``sample_idx`` unique in a data set for testing: it then counts through all leaves.

    By itself every data set inside a ``ConcatDataset`` counts from 0. Call this before workers
    start.
    """
    for offset, leaf in _numbered(dataset):
        transforms = getattr(getattr(leaf, 'pipeline', None), 'transforms', None)
        if offset and not (transforms and getattr(transforms[0], 'func', None) is _count_on):
            transforms.insert(0, partial(_count_on, offset=offset))


def leaf_at(dataset: Dataset, number: int) -> tuple[Dataset, int]:
    """The leaf that holds the image of a ``sample_idx``, and the image's index there."""
    for offset, leaf in _numbered(dataset):
        if isinstance(number, int) and offset <= number < offset + len(leaf):
            return leaf, number - offset
    total = sum(map(len, leaves(dataset)))
    raise UserError(f'there is no image {number} in a data set of {total}; the predictions are of '
                    'other images.')


def _numbered(dataset) -> Iterator[tuple[int, Dataset]]:
    offset = 0
    for leaf in leaves(dataset):
        yield offset, leaf
        offset += len(leaf)


def leaf_configs(config: ConfigDict) -> list[ConfigDict]:
    """The configs of the leaves, see :func:`leaves`."""
    inner = [config['dataset']] if 'dataset' in config else config.get('datasets', ())
    return [leaf for part in inner for leaf in leaf_configs(part)] or [config]


def pipeline_config(config: ConfigDict) -> list[dict]:
    """The pipeline that all leaves of a data set's config share, or a UserError."""
    found = [leaf.get('pipeline', []) for leaf in leaf_configs(config)]
    if any(pipeline != found[0] for pipeline in found):
        raise UserError('the data sets that the config combines have different pipelines; give '
                        'them the same.')
    if not found[0]:
        raise UserError('the test set of the config has no pipeline.')
    return found[0]
