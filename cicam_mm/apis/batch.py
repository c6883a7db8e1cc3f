"""Localization in any number of images, on any number of processes."""
import errno
import fcntl
import hashlib
import heapq
import json
import math
import os
import re
import shutil
import socket
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from torch.utils.data import DataLoader, Dataset

from cicam_mm.datasets.images import MAX_PIXELS
from cicam_mm.utils.console import with_progress
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import (
    check_regular,
    name_when_complete,
    open_atomically,
    read_json_mapping,
    remove_leftovers,
    to_json,
)
from cicam_mm.visualization.visualizer import class_name, reduce_to_draw

from .inferencer import WSOLInferencer, collate, prepare
from .inputs import Record, list_inputs
from .outputs import write_annotations, write_json_list, write_parquet, write_predictions


def config_digest(cfg: Config) -> str:
    """SHA-256 of a config's content, whichever files it comes from."""
    content = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 of a model's parameters and buffers, whichever file they come from."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def write_records(path: Path, records: Iterable[Record]) -> dict:
    """Write a list of images, one JSON array per line.

    Args:
        path (Path): The file.
        records (Iterable[Record]): The images.

    Returns:
        dict: ``count`` and ``sha256`` of the list.

    Raises:
        UserError: If only some of the images have labels.
    """
    digest, count, labelled = hashlib.sha256(), 0, set()
    with open(path, 'wb') as file:
        for record in records:
            line = json.dumps(record).encode() + b'\n'
            file.write(line)
            digest.update(line)
            count += 1
            if not record.problem:
                labelled.add(record.label is not None)
            if len(labelled) == 2:
                raise UserError(f'only some of the images up to number {count}, {record.name!r}, '
                                'have a label; give labels for all images or for none.')
    return dict(count=count, sha256=digest.hexdigest())


class RecordBatches:
    """Batches of a list of images, read on demand.

    Args:
        path (Path): A file from :func:`write_records`.
        size (int): Images per batch; the last batch may be smaller.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        self.size = size
        self._starts = array('q')
        with open(path, 'rb') as file:
            position = 0
            for index, line in enumerate(file):
                if index % size == 0:
                    self._starts.append(position)
                position += len(line)

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, number: int) -> list[tuple[int, Record]]:
        """The images of a batch, each with its index in the list."""
        with open(self.path, 'rb') as file:
            file.seek(self._starts[number])
            return [(index, Record(*json.loads(line)))
                    for index, line in enumerate(islice(file, self.size), number * self.size)]


#: Most bytes of a line.
MAX_LINE = 2**28


class PartFile:
    """Appends batches to a new file, one line with a checksum each, as soon as they are there.

    A process that is killed leaves complete lines and possibly a partial one, which
    :func:`read_part` skips.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path):
        self._file = open(path, 'xb')

    def append(self, number: int, images: list[dict]) -> None:
        """Append the results of a batch of images.

        Raises:
            OSError: If the disk is full; earlier lines are kept.
        """
        content = to_json([number, images]).encode()
        self._file.write(b'%08x %s\n' % (zlib.crc32(content), content))
        self._file.flush()

    def __enter__(self) -> 'PartFile':
        return self

    def __exit__(self, *error) -> None:
        self._file.close()


def read_part(path: Path) -> Iterator[tuple[int, list[dict]]]:
    """Complete batches of a file, in the order they were added: number and images.

    Raises:
        UserError: If a line is damaged; one that is not complete is passed over.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        for number, line in enumerate(iter(partial(file.readline, MAX_LINE), b''), 1):
            checksum, _, content = line[:-1].partition(b' ')
            if not line.endswith(b'\n'):
                continue
            if checksum != b'%08x' % zlib.crc32(content):
                raise UserError(f'{path}, line {number} is damaged; delete the file and continue '
                                'with --resume, which localizes its images again.')
            yield json.loads(content)


def merge_parts(paths: Iterable[Path]) -> Iterator[dict]:
    """The images of all files in the order of their batches; holds one line per file in memory.

    Args:
        paths (Iterable[Path]): Files, in each of which the batches are in ascending order.
    """
    parts = map(read_part, paths)
    for _, images in heapq.merge(*parts, key=lambda batch: batch[0]):
        yield from images


#: Names of the files.
RESULTS = ('predictions.json', 'predictions.csv', 'predictions.parquet', 'annotations.json',
           'left_out.json')

#: How many of the images left out are named in the summary; all are in ``left_out.json``.
MAX_NAMED = 20


def write_results(folder: Path, parts: Sequence[Path], class_names: Sequence[str],
                  min_score: float) -> dict:
    """Merge the results of the ranks into files for other programs.

    These are ``predictions.json`` and ``predictions.csv`` (:func:`write_predictions`),
    ``annotations.json`` (:func:`write_annotations`), with pyarrow ``predictions.parquet``
    (:func:`write_parquet`), and ``left_out.json``: ``image_id``, ``file_name`` and ``reason`` of
    images that could not be used.

    Args:
        folder (Path): Folder of the files.
        parts (Sequence[Path]): Files of the ranks.
        class_names (Sequence[str]): Names of all classes.
        min_score (float): Minimum score of an annotation.

    Returns:
        dict: The numbers of images ``localized``, ``drawn`` and ``left_out``, the number of
        annotations, ``boxes``, and the reasons for the first images left out, ``sentences``.
    """
    found, lost = _Images(parts, False), _Images(parts, True)
    write_predictions(folder, found)
    table = folder / 'predictions.parquet'
    if find_spec('pyarrow'):
        write_parquet(table, found)
    else:
        table.unlink(missing_ok=True)  # from an earlier run
    with open_atomically(folder / 'left_out.json') as file:
        write_json_list(file, (dict(image_id=image['sample_idx'], file_name=image['img_path'],
                                    reason=image['left_out']) for image in lost))
        file.write('\n')
    return dict(
        localized=sum(1 for _ in found),
        drawn=sum('drawn' in image for image in found),
        left_out=sum(1 for _ in lost),
        boxes=write_annotations(folder / 'annotations.json', found, class_names, min_score),
        sentences=[image['left_out'] for image in islice(lost, MAX_NAMED)])


class _Images:
    """The images of the parts that are left out, or all others; can be iterated repeatedly."""

    def __init__(self, parts: Sequence[Path], left_out: bool):
        self._parts = parts
        self._left_out = left_out

    def __iter__(self) -> Iterator[dict]:
        return (image for image in merge_parts(self._parts)
                if ('left_out' in image) == self._left_out)


#: Names of pictures, and of what file managers and file systems leave beside them.
PICTURE = re.compile(r'\d{5,}(_.*)?\.png|\..*', re.DOTALL)


class RunFolder:
    """The folder for results, with the progress of a run in ``unfinished/`` below it.

    Files of an earlier run, and its pictures in ``pictures/``, remain until all images are done.

    Args:
        path (Path): The folder, created if missing.

    Attributes:
        records (Path): The list of images of an unfinished run.
        pictures (Path): The folder for the pictures of an unfinished run.

    Raises:
        UserError: If the folder cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._unfinished = path / 'unfinished'
        self.records = self._unfinished / 'inputs.jsonl'
        self.pictures = self._unfinished / 'pictures'
        self._listed = self._unfinished / 'inputs.new'
        self._identity = self._unfinished / 'run.json'
        self._finished = path / 'run.json'
        self._finished_pictures = path / 'pictures'
        self._kind_of = lru_cache(128)(self._kind_of)  # files of a folder come one by one
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._lock = open(self._unfinished / 'lock', 'w+')
        except OSError as error:
            raise UserError(f'{str(path)!r} cannot be written: {error.strerror}; choose another '
                            'folder with --out.') from error

    def begin(self, records: Iterable[Record], identity: dict, resume: bool) -> int | None:
        """List the images, and start or resume their run unless it is finished.

        Args:
            records (Iterable[Record]): The images.
            identity (dict): Everything besides the images that identifies the run.
            resume (bool): Whether to resume an earlier run.

        Returns:
            int | None: Number of images; None if the run is finished.

        Raises:
            UserError: If another run uses the folder, or left it unfinished and ``resume`` is
                False, or the run to resume is a different one, or ``pictures/`` holds other
                files, which a new run would remove.
        """
        self._take_lock()
        try:
            count = self._begin(records, identity, resume)
        finally:
            self._listed.unlink(missing_ok=True)
            if not self._identity.exists():
                shutil.rmtree(self._unfinished)
        self.join()
        return count

    def owns(self, file: str) -> bool:
        """Whether a file is a result of a run here, or part of an unfinished one."""
        folder, name = os.path.split(file)
        kind = self._kind_of(folder)
        return kind == 'below' or kind == 'self' and name_when_complete(name) in (
            *RESULTS, self._finished.name)

    def join(self) -> None:
        """Keep other runs from starting in the folder while this process is alive."""
        # a POSIX lock, because forked processes do not inherit it
        fcntl.lockf(self._lock, fcntl.LOCK_SH)

    def remaining(self, num_batches: int) -> list[int]:
        """Numbers of the batches that are not done yet."""
        done = np.zeros(num_batches, bool)
        for part in self.parts:
            for number, _ in read_part(part):
                done[number] = True
        return np.flatnonzero(~done).tolist()

    @property
    def parts(self) -> list[Path]:
        """Files of finished batches, in each of which the batches are in ascending order."""
        return sorted(self._unfinished.glob('rank*.jsonl'))

    def new_part(self, rank: int) -> PartFile:
        """Create a file for the next batches of a rank."""
        paths = (self._unfinished / f'rank{rank}.{attempt}.jsonl' for attempt in count())
        return PartFile(next(path for path in paths if not path.exists()))

    def finish(self, summary: dict) -> None:
        """Leave nothing but results, and ``run.json`` with identity and summary of the run.

        Raises:
            UserError: If ``pictures/`` holds other files, which would be removed.
        """
        if self.pictures.exists():  # or a run that was killed here had moved it already
            self._check_pictures()
            if self._finished_pictures.exists():
                shutil.rmtree(self._finished_pictures)
            if any(self.pictures.iterdir()):
                os.replace(self.pictures, self._finished_pictures)
        identity = read_json_mapping(self._identity)
        self._write(self._identity, dict(identity, summary=summary))
        os.replace(self._identity, self._finished)
        shutil.rmtree(self._unfinished)

    def summary(self) -> dict:
        """What :meth:`finish` was given by the run that is finished."""
        return read_json_mapping(self._finished)['summary']

    def _take_lock(self):
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(f'another run is using {str(self.path)!r}; wait for it, or choose '
                            'another folder with --out.') from error
        for folder in (self.path, self._unfinished, self.pictures):
            remove_leftovers(folder)

    def _begin(self, records, identity, resume):
        unfinished = self._identity.exists() and any(part.stat().st_size for part in self.parts)
        if unfinished and not resume:
            raise UserError(f'{str(self.path)!r} holds an unfinished run; continue it with '
                            f'--resume, or delete {str(self._unfinished)!r}.')
        inputs = write_records(self._listed, records)
        identity = dict(identity, inputs=inputs)
        earlier = self._identity if unfinished else self._finished
        if resume and earlier.exists():
            self._check(read_json_mapping(earlier), identity)
            if not unfinished:
                return None
        if not unfinished:
            self._check_pictures()
            for part in self.parts:  # empty, or of a run that was killed while finishing
                part.unlink()
            if self.pictures.exists():
                shutil.rmtree(self.pictures)
            self.pictures.mkdir()
        os.replace(self._listed, self.records)  # the same again where a run goes on
        if not unfinished:
            self._write(self._identity, identity)
        return inputs['count']

    def _kind_of(self, folder):
        folder, own = Path(folder).resolve(), self.path.resolve()
        if folder == own:
            return 'self'
        below = (own / self._unfinished.name, own / self._finished_pictures.name)
        return 'below' if any(map(folder.is_relative_to, below)) else None

    def _check_pictures(self):
        """The folder of pictures is replaced as a whole."""
        folder = self._finished_pictures
        if not os.path.lexists(folder):
            return
        is_folder = folder.is_dir() and not folder.is_symlink()
        for path in folder.iterdir() if is_folder else [folder]:
            if not (is_folder and PICTURE.fullmatch(path.name)):
                raise UserError(f'{str(path)!r} is not a picture of an earlier run, and this run '
                                f'would replace {str(folder)!r}; move it, or choose another '
                                'folder with --out.')

    @staticmethod
    def _write(path, content):
        with open_atomically(path) as file:
            file.write(to_json(content, indent=2) + '\n')

    def _check(self, earlier, identity):
        differing = [name for name in identity if earlier.get(name) != identity[name]]
        if differing:
            raise UserError(
                f'{str(self.path)!r} cannot be resumed, because its run had other '
                f'{" and ".join(differing)}; repeat the command of that run with --resume, or '
                'choose another folder with --out.')


#: Seconds to wait for a server that does not respond.
TIMEOUT = 60


@dataclass
class PreparedBatch:
    """A batch of the list of images.

    Attributes:
        number: Its number.
        data: What the network takes; None if no image can be read.
        pictures: Images to draw on by their place in the list, see :func:`reduce_to_draw`.
        left_out: Those that cannot be used: ``sample_idx``, ``img_path`` and why, ``left_out``.
    """
    number: int
    data: dict | None = None
    pictures: dict[int, np.ndarray] = field(default_factory=dict)
    left_out: list[dict] = field(default_factory=list)


class PreparedBatches(Dataset):
    """All batches of a list of images; independent of the process that loads them.

    Args:
        records (RecordBatches): The list.
        pipeline (Callable): The test pipeline without the transform that loads images.
        is_drawn (Callable): Tells of a place in the list whether its image is to be drawn.
        max_pixels (int): Most pixels of a decoded image. Defaults to 89,478,485.
    """

    def __init__(self, records: RecordBatches, pipeline: Callable[[dict], dict],
                 is_drawn: Callable[[int], bool], max_pixels: int = MAX_PIXELS):
        self._records = records
        self._pipeline = pipeline
        self._is_drawn = is_drawn
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> PreparedBatch:
        batch, prepared = PreparedBatch(number), []
        for index, record in self._records[number]:
            info = dict(sample_idx=index, img_path=record.name)
            label = {} if record.label is None else dict(gt_label=record.label)
            try:
                with _timeout():
                    image, ori_shape = record.read(self._max_pixels)
                prepared.append(self._prepare(image, ori_shape, **info, **label))
            except OSError as error:
                batch.left_out.append(dict(info, left_out=str(error)))
                continue
            if self._is_drawn(index):
                batch.pictures[index] = reduce_to_draw(image)
        if prepared:
            batch.data = collate(prepared)
        return batch

    def _prepare(self, image, ori_shape, **info):
        try:
            return prepare(self._pipeline, image, ori_shape, **info)
        except Exception as error:  # transforms can raise anything for unusual sizes
            height, width = ori_shape
            raise OSError(f'the test pipeline fails on {info["img_path"]!r} of {width} x {height} '
                          f'pixels: {type(error).__name__}: {error}') from error


def load(batches: PreparedBatches, numbers: Sequence[int], workers: int
         ) -> Iterator[PreparedBatch]:
    """Load some of the batches in the given order, prepared ahead by worker processes.

    Args:
        batches (PreparedBatches): All batches.
        numbers (Sequence[int]): Numbers of the batches to load.
        workers (int): Number of worker processes; 0 means this process.
    """
    workers = min(workers, len(numbers))
    return iter(DataLoader(
        batches, batch_size=None, sampler=numbers, collate_fn=_as_it_is, num_workers=workers,
        multiprocessing_context='fork' if workers else None))  # mmengine's default


def _as_it_is(batch):
    return batch


@contextmanager
def _timeout():
    """Do not wait for a server for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@dataclass
class Options:
    """Options that affect the results.

    Attributes:
        batch_size: Images per forward pass.
        pictures: Number of images to draw, spread evenly over all; None draws all.
        top_k: Number of best classes whose boxes become annotations.
        min_score: Minimum score of an annotation.
        use_labels: Whether images with a label get the box of that class.
    """
    batch_size: int = 8
    pictures: int | None = 100
    top_k: int = 1
    min_score: float = 0.
    use_labels: bool = True


def localize_files(inferencer: WSOLInferencer,
                   paths: Sequence[str],
                   out: Path,
                   options: Options,
                   workers: int = 2,
                   resume: bool = False) -> dict | None:
    """Localize the objects in files, and write the results, see :func:`write_results`.

    If every rank of a job calls this, they share the work; ``out`` must then be the same folder
    for all. Batches, and therefore results, are the same for any number of ranks, bit for bit, as
    long as all processes use the same number of threads. Until the run is finished,
    ``out/unfinished`` keeps its progress in case it is killed. Pictures are then in
    ``out/pictures``, in place of those of an earlier run.

    Args:
        inferencer (WSOLInferencer): The model.
        paths (Sequence[str]): Inputs, see :func:`list_inputs`; folders and globs leave out what
            this function writes.
        out (Path): Folder for the results.
        options (Options): Options that affect the results.
        workers (int): Processes per rank that read and prepare images. Defaults to 2.
        resume (bool): Continue an unfinished run in ``out``. Defaults to False.

    Returns:
        dict | None: The result of :func:`write_results`; None on all ranks except the first.

    Raises:
        UserError: If inputs, folder or options are invalid, see :func:`list_inputs` and
            :meth:`RunFolder.begin`, or if the disk is full.
    """
    try:
        return _localize_files(inferencer, paths, out, options, workers, resume)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f'{error.strerror}: {str(out)!r} keeps the progress; free some space and '
                        'continue with --resume.') from error


def _localize_files(inferencer, paths, out, options, workers, resume):
    rank, world_size = get_dist_info()
    plan = [None]
    if rank == 0:
        try:
            folder = RunFolder(out)
            plan = [_plan(folder, inferencer, paths, options, resume)]
        except UserError as error:  # sent to all ranks, which would otherwise wait for this one
            plan = [error]
    broadcast_object_list(plan)
    if isinstance(plan[0], UserError):
        raise plan[0]
    if plan[0] is None:
        return folder.summary() if rank == 0 else None
    if rank > 0:
        folder = RunFolder(out)
        folder.join()
    count, remaining = plan[0]

    numbers = remaining[rank::world_size]
    is_drawn = partial(_is_drawn, count=count, pictures=options.pictures)
    batches = PreparedBatches(
        RecordBatches(folder.records, options.batch_size), inferencer.pipeline, is_drawn,
        inferencer.max_pixels)
    loaded = load(batches, numbers, workers)
    if rank == 0:
        loaded = with_progress(loaded, _progress(len(batches), len(remaining), world_size), 10)
    with folder.new_part(rank) as part:
        for batch in loaded:
            part.append(batch.number, _localize(batch, inferencer, folder.pictures, options))

    barrier()
    if rank > 0:
        return None
    summary = write_results(out, folder.parts, _class_names(inferencer), options.min_score)
    folder.finish(summary)
    return summary


def _plan(folder, inferencer, paths, options, resume):
    """Number of images, and the batches still to do; None if the run is finished."""
    records = list_inputs(paths, inferencer.model.head.num_classes, inferencer.classes,
                          options.use_labels, folder.owns)
    records = with_progress(
        _checked(records, options), lambda number: f'{number:,} images listed', seconds=1)
    identity = dict(
        config=config_digest(inferencer.config),
        checkpoint=weights_digest(inferencer.model),
        classes=_class_names(inferencer),
        options=dict(asdict(options), style=str(inferencer.visualizer.style),
                     device=next(inferencer.model.parameters()).device.type))
    count = folder.begin(records, identity, resume)
    if count is None:
        return None
    return count, folder.remaining(math.ceil(count / options.batch_size))


def _checked(records, options):
    """Refuse labels where the options exclude them."""
    for record in records:
        if record.label is not None and options.top_k > 1:
            raise UserError(f'{record.name!r} has a label, so there are no boxes of the '
                            f'{options.top_k} best classes; omit --top-k, or ignore the labels '
                            'with --ignore-labels.')
        yield record


def _class_names(inferencer):
    return [class_name(label, inferencer.classes)
            for label in range(inferencer.model.head.num_classes)]


def _is_drawn(index: int, count: int, pictures: int | None) -> bool:
    """Whether an image is one of ``pictures`` that are spread evenly over all."""
    return pictures is None or index * pictures % count < pictures


def _progress(num_batches, num_remaining, world_size):
    """Estimates the progress of all ranks from that of the first."""
    start = time.monotonic()

    def describe(number):
        done = min(number * world_size, num_remaining)
        share = (num_batches - num_remaining + done) / num_batches
        left = (time.monotonic() - start) / max(done, 1) * (num_remaining - done)
        return f'{share:.1%} of the images, {timedelta(seconds=round(left))} left'

    return describe


def _localize(batch: PreparedBatch, inferencer: WSOLInferencer, pictures: Path,
              options: Options) -> list[dict]:
    """The images of a batch in their order: the result of each, or why it is left out."""
    images = [*batch.left_out]
    for sample in inferencer.predict(batch.data) if batch.data else ():
        if 'gt_label' in sample:
            sample.set_data(dict(pred_label=sample.gt_label, pred_box=sample.label_box,
                                 score_map=sample.label_map))
        image = _as_json(inferencer.postprocess(sample), options.top_k)
        if sample.sample_idx in batch.pictures:
            inferencer.visualize(batch.pictures[sample.sample_idx], sample, pictures)
            image['drawn'] = True
        images.append(image)
    return sorted(images, key=lambda image: image['sample_idx'])


def _as_json(result, top_k):
    """The part of a result that :func:`write_results` needs."""
    image = {key: result[key] for key in (
        'sample_idx', 'img_path', 'ori_shape', 'pred_label', 'pred_class', 'pred_score',
        'pred_box') if key in result}
    if top_k > 1:
        image |= {key: result[key][:top_k] for key in ('top_labels', 'top_scores', 'top_boxes')}
    return image
