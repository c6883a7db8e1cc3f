"""Saved predictions, which can be evaluated again without the network.

A folder holds ``part_R.gz`` for every rank R and, once all of them are complete,
``predictions.json``. A part is one gzip stream with a record for each image: a line of JSON (meta
information, plain values, names of the arrays), then the arrays in NumPy's .npy format. Reading
never runs code from a file.
"""
import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.datasets.wrappers import metainfo_of, number_images
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import (
    check_writable,
    open_atomically,
    read_json_mapping,
    to_json,
    write_atomically,
)
from cicam_mm.utils.samples import naming_the_image

from .protocol import describe_protocol

INDEX, PART = 'predictions.json', 'part_{}.gz'

#: Maximum size, in bytes, of an array or a line in a record.
MAX_RECORD = 2**28


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Saves the predictions of a test, image by image, for :func:`read_predictions`.

    Each rank writes its own part. The predictions become valid only when the test is over and all
    parts are complete; until then, earlier predictions in the folder remain.
    """

    def __init__(self, out_dir: str):
        self.out_dir = Path(out_dir)

    def before_test(self, runner) -> None:
        check_writable(self.out_dir, is_folder=True)
        number_images(runner.test_dataloader.dataset)
        self._files = ExitStack()
        file = self._files.enter_context(
            open_atomically(self.out_dir / PART.format(get_rank()), 'wb'))
        self._part = self._files.enter_context(
            gzip.GzipFile('', 'wb', compresslevel=1, fileobj=file))

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=()) -> None:
        with self._files.pop_all() as files:  # an error removes the part
            for sample in outputs:
                with naming_the_image(sample):
                    write_sample(self._part, sample)
            self._files = files.pop_all()

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        if is_main_process():
            (self.out_dir / INDEX).unlink(missing_ok=True)
        barrier()
        self._files.close()
        barrier()
        if is_main_process():
            dataset = runner.test_dataloader.dataset
            write_atomically(self.out_dir / INDEX, to_json(dict(
                num_images=len(dataset), num_parts=get_world_size(),
                classes=metainfo_of(dataset).get('classes'),
                protocol=describe_protocol(runner.cfg, num_images=len(dataset)))))


def read_predictions(folder: str | Path) -> Iterator[DataSample]:
    """Read saved predictions, as ``model.predict`` returned them, in the order of the data set.

    Raises:
        FileNotFoundError: If there are no predictions, they are unfinished, or a part is missing.
        UserError: If a file is truncated or damaged; the message names it.
    """
    index = read_index(folder)
    parts = []
    for rank in range(index['num_parts']):
        parts.append(Path(folder) / PART.format(rank))
        if not parts[-1].is_file():
            raise FileNotFoundError(f'{parts[-1]} is missing, so the predictions are incomplete; '
                                    'create them again with tools/test.py --dump.')
    return _in_order(parts, index['num_images'])


def read_index(folder: str | Path) -> dict[str, Any]:
    """``num_images``, ``num_parts`` (ranks), ``classes`` (names or None) and ``protocol``."""
    path = Path(folder) / INDEX
    if not path.is_file():
        raise FileNotFoundError(f'{folder} holds no finished predictions, because there is no '
                                f'{INDEX}; create them with tools/test.py --dump {folder}.')
    index = read_json_mapping(path)
    kinds = dict(num_images=int, num_parts=int, classes=(list, type(None)), protocol=dict)
    for name, kind in kinds.items():
        if not isinstance(index.get(name), kind) or kind is int and index[name] < 1:
            raise UserError(f'{path} is damaged ({name} is {index.get(name)!r:.50}); create the '
                            'predictions again with tools/test.py --dump.')
    return {name: index[name] for name in kinds}


def write_sample(file: BinaryIO, sample: DataSample) -> None:
    """Append one record; fields are tensors, arrays of numbers, or serializable as JSON."""
    plain, arrays, kinds = {}, [], {}
    for name, value in sample.items():
        if isinstance(value, (Tensor, np.ndarray)):
            kinds[name] = 'tensor' if isinstance(value, Tensor) else 'array'
            arrays.append(value.cpu().numpy() if isinstance(value, Tensor) else value)
        else:
            plain[name] = value
    header = dict(meta=dict(sample.metainfo_items()), plain=plain, arrays=kinds)
    file.write(to_json(header, default=_to_plain).encode() + b'\n')
    for array in arrays:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise UserError(f'a value of type {type(value).__name__} cannot be saved; remove it from '
                    "PackInputs' algorithm_keys and meta_keys, or convert it to an array.")


def read_sample(file: BinaryIO) -> DataSample:
    """Read the next record of a binary file; lists in the meta information become tuples."""
    header = json.loads(file.readline(MAX_RECORD))
    sample = DataSample(metainfo={
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header['meta'].items()})
    sample.set_data(header['plain'])
    for name, kind in header['arrays'].items():
        array = _read_array(file)
        sample.set_data({name: torch.from_numpy(array) if kind == 'tensor' else array})
    return sample


def _read_array(file: BinaryIO) -> np.ndarray:
    """Like NumPy's ``read_array``, but checks a size limit before allocating memory."""
    read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                   (2, 0): np.lib.format.read_array_header_2_0}[np.lib.format.read_magic(file)]
    shape, is_fortran, dtype = read_header(file)
    size = prod(shape) * dtype.itemsize
    if dtype.hasobject or size > MAX_RECORD:
        raise UserError(f'an array of {size:,} bytes and type {dtype}')
    content = bytearray(file.read(size))
    return np.frombuffer(content, dtype).reshape(shape, order='F' if is_fortran else 'C')


def _in_order(parts: list[Path], num_images: int) -> Iterator[DataSample]:
    # The sampler deals out images to ranks in turn. It repeats some at the end so that all ranks
    # have equally many; these are skipped here.
    with ExitStack() as stack:
        files = [stack.enter_context(gzip.open(part)) for part in parts]
        for number in range(num_images):
            rank = number % len(parts)
            with _naming_the_part(parts[rank], number // len(parts)):
                sample = read_sample(files[rank])
            yield sample
        extra = num_images % len(parts)  # ranks from this one on may have a repeated image
        for rank, (part, file) in enumerate(zip(parts, files, strict=True)):
            with _naming_the_part(part, num_images // len(parts)):
                if extra and rank >= extra and file.peek(1):
                    read_sample(file)
                if file.read(1):  # reaching the end also verifies the checksum
                    raise UserError(f'there are more than the {num_images} images of {INDEX}')


@contextmanager
def _naming_the_part(part: Path, num_images: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # damaged bytes can raise anything
        raise UserError(f'{part} is truncated or damaged after {num_images} images ({error}); '
                        'create the predictions again with tools/test.py --dump.') from error
