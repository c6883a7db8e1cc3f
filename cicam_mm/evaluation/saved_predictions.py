"""Predictions on disk: saved once while testing, judged again without the network.

A folder holds ``part_R.gz`` of every rank R and, once all of them are complete,
``predictions.json``. A part is one gzip stream with a record for each image: a line of JSON (meta
information, plain values, names of the arrays), then the arrays in NumPy's .npy format. Reading
runs nothing of what a file contains.
"""
import gzip
import json
import zlib
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

from cicam_mm.errors import UserError
from cicam_mm.files import (
    check_writable,
    open_atomically,
    read_text,
    to_json,
    write_atomically,
)

from .protocol import describe_protocol
from .sample_fields import naming_the_image

INDEX = 'predictions.json'
#: Most bytes of an array, or of a line, in a record.
MAX_RECORD = 2**28


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Saves the predictions of a test, image by image as they come, for `read_predictions`.

    Each rank writes its own part. The folder counts as predictions only when the test is over and
    all parts are complete; until then predictions that were there before stay.

    Args:
        out_dir (str): The folder; predictions in it are replaced.
    """

    def __init__(self, out_dir: str):
        self.out_dir = Path(out_dir)

    def before_test(self, runner) -> None:
        check_writable(self.out_dir, is_folder=True)
        self._files = ExitStack()
        file = self._files.enter_context(
            open_atomically(self.out_dir / part_name(get_rank()), 'wb'))
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
            write_index(self.out_dir, num_images=len(dataset), num_parts=get_world_size(),
                        classes=getattr(dataset, 'metainfo', {}).get('classes'),
                        protocol=describe_protocol(runner.cfg))


def read_predictions(folder: str | Path) -> Iterator[DataSample]:
    """Read saved predictions, one at a time, in the order of the data set.

    Args:
        folder (str | Path): The folder :class:`SavePredictionsHook` wrote.

    Returns:
        Iterator[DataSample]: As ``model.predict`` left them, on the CPU.

    Raises:
        FileNotFoundError: There are no predictions, they are not finished, or a part is missing.
        ValueError: A file is cut off or damaged; the message names it.
    """
    index = read_index(folder)
    parts = []
    for rank in range(index['num_parts']):  # an index may lie about their number
        parts.append(Path(folder) / part_name(rank))
        if not parts[-1].is_file():
            raise FileNotFoundError(f'{parts[-1]} is missing, so the predictions are incomplete; '
                                    'make them anew with tools/test.py --dump.')
    return _in_order(parts, index['num_images'])


def write_index(folder: str | Path, **index) -> None:
    """Write what :func:`read_index` returns, and its checksum."""
    content = dict(index, checksum=_checksum(index))
    write_atomically(Path(folder) / INDEX, to_json(content))


def _checksum(index):
    return zlib.crc32(to_json(index, sort_keys=True).encode())


def read_index(folder: str | Path) -> dict:
    """What is known of saved predictions as a whole.

    Returns:
        dict: ``num_images``; ``num_parts``, the number of ranks; ``classes``, their names or None;
        ``protocol``, see :func:`describe_protocol`.

    Raises:
        FileNotFoundError, ValueError: As of :func:`read_predictions`.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        raise FileNotFoundError(f'{folder} holds no finished predictions, for there is no {INDEX};'
                                f' make them with tools/test.py --dump {folder}.')
    try:
        content = json.loads(read_text(path))
        index = {key: content[key] for key in ('num_images', 'num_parts', 'classes', 'protocol')}
        _check_index(**index)
        if content.get('checksum', _checksum(index)) != _checksum(index):
            raise UserError('its checksum is another one')
        return index
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{path} is damaged ({error}); make the predictions anew with '
                        'tools/test.py --dump.') from error


def _check_index(num_images, num_parts, classes, protocol):
    for name, number, least in (('num_images', num_images, 0), ('num_parts', num_parts, 1)):
        if type(number) is not int or number < least:
            raise UserError(f'{name} is {number!r:.50}')
    if not (classes is None or isinstance(classes, list)
            and all(isinstance(name, str) for name in classes)):
        raise UserError('classes are not a list of names')
    if not isinstance(protocol, dict):
        raise UserError('the protocol is no mapping')


def part_name(rank: int) -> str:
    """File of one rank's predictions."""
    return f'part_{rank}.gz'


def write_sample(file: BinaryIO, sample: DataSample) -> None:
    """Append one record to a binary file.

    Raises:
        ValueError: If a field is neither a tensor, nor an array of numbers, nor fit for JSON.
    """
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


def read_sample(file: BinaryIO) -> DataSample:
    """Read the next record of a binary file; lists of the meta information become tuples."""
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
    """As NumPy's ``read_array``, with a limit that holds before anything is allocated."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                   (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, is_fortran, dtype = read_header(file)
    size = prod(shape) * dtype.itemsize
    if dtype.hasobject or size > MAX_RECORD:
        raise UserError(f'an array of {size:,} bytes and type {dtype}')
    content = bytearray(file.read(size))
    return np.frombuffer(content, dtype).reshape(shape, order='F' if is_fortran else 'C')


def _in_order(parts: list[Path], num_images: int) -> Iterator[DataSample]:
    # Ranks take turns in the data set. To give all of them equally many images a sampler repeats
    # some at the end, which are left out here.
    with ExitStack() as stack:
        files = [stack.enter_context(gzip.open(part)) for part in parts]
        for number in range(num_images):
            rank = number % len(parts)
            with _naming_the_part(parts[rank], number // len(parts)):
                sample = read_sample(files[rank])
            yield sample
        extra = num_images % len(parts)  # ranks from here on may have repeated an image
        for rank, (part, file) in enumerate(zip(parts, files, strict=True)):
            with _naming_the_part(part, num_images // len(parts)):
                if extra and rank >= extra and file.peek(1):
                    read_sample(file)
                if file.read(1):  # at the end, where the checksum is
                    raise UserError(f'there are more than the {num_images} images of {INDEX}')


@contextmanager
def _naming_the_part(part: Path, num_images: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # damaged bytes end in errors of all sorts
        raise UserError(f'{part} is cut off or damaged after {num_images} images ({error}); make '
                        'the predictions anew with tools/test.py --dump.') from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise UserError(f'a value of type {type(value).__name__} cannot be saved; leave it out of '
                    "PackInputs' algorithm_keys and meta_keys, or make it an array.")
