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
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from itertools import count, islice
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from torch.utils.data import DataLoader, Dataset

from cicam_lite import find_instances, get_box_rule, refine_by_grabcut, resize_mask
from cicam_mm.checkpoints.weights import weights_digest
from cicam_mm.datasets.images import MAX_PIXELS
from cicam_mm.evaluation.pooled_metric import judged_map
from cicam_mm.evaluation.score_maps import write_score_map
from cicam_mm.utils.console import with_progress
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.io import (
    check_regular,
    name_when_complete,
    open_atomically,
    read_json_mapping,
    remove_leftovers,
    to_json,
)
from cicam_mm.visualization import class_name, reduce_to_draw

from .formats import FOLDER_FORMATS, annotation_path, encode_rle, path_below
from .inferencer import WSOLInferencer, collate, prepare
from .inputs import Record, list_inputs
from .outputs import RESULTS, write_results

#: How many of the images left out are named in the summary; all are in ``left_out.json``.
MAX_NAMED = 20
#: Batches between points where the ranks wait for each other, so that one that hangs is noticed.
MEETING = 100
#: The folders of a run, and the names of files in them and of what file managers leave there.
FOLDERS = {'pictures': re.compile(r'\d{5,}(_.*)?\.png|\..*', re.DOTALL),
           'score_maps': re.compile(r'.*\.(npy|png)|\..*', re.DOTALL),
           'yolo': re.compile(r'.*\.(txt|yaml|cache)|\..*', re.DOTALL),
           'voc': re.compile(r'.*\.xml|\..*', re.DOTALL)}


@dataclass
class Options:
    """Options that affect the results.

    Attributes:
        batch_size: Images per forward pass.
        pictures: Number of images to draw, spread evenly over all; None draws all.
        top_k: Number of best classes whose boxes become annotations.
        min_score: Minimum score of an annotation.
        use_labels: Whether images with a label get the box of that class.
        score_maps: 'npy' or 'png' to write score maps, see :func:`write_score_map`.
        instances: Whether each component of a score map becomes an annotation.
        min_area: Least area of a component as a share of the image.
        masks: Whether annotations have a mask.
        refine: 'grabcut' for :func:`refine_by_grabcut` of each annotation.
        formats: Further formats to write, see :func:`write_results`.
    """
    batch_size: int = 8
    pictures: int | None = 100
    top_k: int = 1
    min_score: float = 0.
    use_labels: bool = True
    score_maps: str | None = None
    instances: bool = False
    min_area: float = 0.
    masks: bool = False
    refine: str | None = None
    formats: Sequence[str] = ()

    def __post_init__(self):
        if self.top_k > 1 and (self.instances or self.masks or self.refine):
            raise UserError('there are instances, masks and refined boxes of the best class only; '
                            'omit --top-k.')


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
        dict | None: What :func:`write_results` returns, with the number of pictures, ``drawn``,
        that of boxes over nearly the whole image, ``covering``, and the reasons for the first
        images left out, ``sentences``; None on all ranks except the first.

    Raises:
        UserError: If inputs, folder or options are invalid, if no image could be used, or if the
            disk is full.
    """
    try:
        return _localize_files(inferencer, paths, out, options, workers, resume)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f'{error.strerror}: {str(out)!r} keeps the progress; free some '
                        'space and continue with --resume.') from error


def _localize_files(inferencer, paths, out, options, workers, resume):
    rank, world_size = get_dist_info()
    folder, plan = RunFolder(out), [None]
    if rank == 0:
        try:
            plan = [_plan(folder, inferencer, paths, options, resume)]
        except Exception as error:  # sent to all ranks, which would otherwise wait for this one
            if world_size == 1:
                raise
            plan = [UserError(as_sentence(error) or repr(error))]
    broadcast_object_list(plan)
    if isinstance(plan[0], UserError):
        raise plan[0]
    if plan[0] is None:
        return folder.summary() if rank == 0 else None
    total, remaining = plan[0]

    numbers = remaining[rank::world_size]
    is_drawn = partial(_is_drawn, total=total, pictures=options.pictures)
    batches = PreparedBatches(
        folder.records, options.batch_size, inferencer.pipeline,
        (lambda index: True) if options.refine else is_drawn, inferencer.max_pixels)
    loaded = _load(batches, numbers, workers)
    if rank == 0:
        loaded = with_progress(loaded, _progress(len(batches), len(remaining), world_size), 10)
    with folder.new_part(rank) as part:
        for step in range(math.ceil(len(remaining) / world_size)):
            if step < len(numbers):
                batch = next(loaded)
                part.append(batch.number, _localize(batch, inferencer, folder, options, is_drawn))
            if step % MEETING == MEETING - 1:
                barrier()
    barrier()
    if rank > 0:
        return None
    summary = folder.merge(total, _class_names(inferencer), options.min_score, options.formats)
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
        options=dict(asdict(options), formats=[*options.formats],
                     style=str(inferencer.visualizer.style),
                     device=next(inferencer.model.parameters()).device.type))
    total = folder.begin(records, identity, resume)
    return total and (total, folder.remaining(math.ceil(total / options.batch_size)))


def _checked(records, options):
    """Refuse labels where options exclude them, or where only some images have them.

    Also refuse images that would share a file of annotations.
    """
    labelled, stems = set(), set()
    for record in records:
        if record.label is not None and options.top_k > 1:
            raise UserError(f'{record.name!r} has a label, so there are no boxes of the '
                            f'{options.top_k} best classes; omit --top-k, or ignore the labels '
                            'with --ignore-labels.')
        if not record.problem:
            labelled.add(record.label is not None)
            if not FOLDER_FORMATS.keys().isdisjoint(options.formats):
                if (stem := str(annotation_path(record.name, ''))) in stems:
                    raise UserError(f'{record.name!r} and an earlier image would share a file of '
                                    f'annotations, {stem!r}; rename one, or omit yolo and voc '
                                    'from --formats.')
                stems.add(stem)
        if len(labelled) == 2:
            raise UserError(f'only some of the images up to {record.name!r} have a label; give '
                            'labels for all images or for none.')
        yield record


def config_digest(cfg: Config) -> str:
    """SHA-256 of a config's content, whichever files it comes from."""
    content = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _class_names(inferencer):
    return [class_name(label, inferencer.classes)
            for label in range(inferencer.model.head.num_classes)]


def _is_drawn(index: int, total: int, pictures: int | None) -> bool:
    """Whether an image is one of ``pictures`` that are spread evenly over all."""
    return pictures is None or index * pictures % total < pictures


def _progress(num_batches, num_remaining, world_size):
    """Estimates the progress of all ranks from that of the first."""
    start = time.monotonic()

    def describe(number):
        done = min(number * world_size, num_remaining)
        share = (num_batches - num_remaining + done) / num_batches
        left = (time.monotonic() - start) / max(done, 1) * (num_remaining - done)
        return f'{share:.1%} of the images, {timedelta(seconds=round(left))} left'

    return describe


def _localize(batch, inferencer, folder, options, is_drawn):
    """The images of a batch in their order: the result of each, or why it is left out."""
    images = [*batch.left_out]
    for sample in inferencer.predict(batch.data) if batch.data else ():
        if 'gt_label' in sample:
            sample.set_data(dict(pred_label=sample.gt_label, pred_box=sample.label_box))
            if 'label_map' in sample:
                sample.set_data(dict(score_map=sample.label_map))
        result = inferencer.postprocess(sample)
        image = {key: result[key] for key in (
            'sample_idx', 'img_path', 'ori_shape', 'pred_label', 'pred_class', 'pred_score',
            'pred_box') if key in result}
        if options.top_k > 1:
            image |= {key: result[key][:options.top_k]
                      for key in ('top_labels', 'top_scores', 'top_boxes')}
        picture = batch.pictures.get(sample.sample_idx)
        if options.instances or options.masks or options.refine:
            found = _find_instances(inferencer.model.head.localizer, sample, picture, options)
            image['instances'] = [dict(box=each.box.tolist()) for each in found]
            if options.masks:
                for entry, each in zip(image['instances'], found, strict=True):
                    entry['mask'] = encode_rle(resize_mask(each, sample.ori_shape))
            if picture is not None:
                sample.set_data(dict(
                    pred_box=np.stack([each.box for each in found]),
                    foreground=np.any([resize_mask(each, picture.shape) for each in found], 0)))
        if is_drawn(sample.sample_idx):
            inferencer.visualize(picture, sample, folder.pictures)
            image['drawn'] = True
        if options.score_maps:
            file = folder.score_maps / f'{path_below(sample.img_path)}.{options.score_maps}'
            write_score_map(file, judged_map(sample.score_map.numpy(), sample.img_shape))
        images.append(image)
    return sorted(images, key=lambda image: image['sample_idx'])


def _find_instances(localizer, sample, picture, options):
    score_map, rule = sample.score_map.numpy(), get_box_rule(localizer.box_rule)
    found = find_instances(score_map, rule, localizer.theta, sample.img_shape, sample.ori_shape,
                           options.instances, options.min_area)
    if options.refine:
        found = [refine_by_grabcut(picture, score_map, each, sample.ori_shape) for each in found]
    return found


# ---------------------------------------------------------------- batches

@dataclass
class PreparedBatch:
    """A batch of the list of images.

    Attributes:
        number: Its number.
        data: What the network takes; None if no image can be read.
        pictures: Images that are kept, by their place in the list, see :func:`reduce_to_draw`.
        left_out: Images that cannot be used: ``sample_idx``, ``img_path``, and why, ``left_out``.
    """
    number: int
    data: dict | None = None
    pictures: dict[int, np.ndarray] = field(default_factory=dict)
    left_out: list[dict] = field(default_factory=list)


class PreparedBatches(Dataset):
    """All batches of a list of images; independent of the process that loads them.

    The list stays in its file, so that no process holds millions of names in memory.

    Args:
        records (Path): The list, one JSON array per line.
        size (int): Images per batch; the last batch may be smaller.
        pipeline (Callable): The test pipeline without the transform that loads images.
        is_kept (Callable): Whether the image with this place in the list is used once more.
        max_pixels (int): Maximum number of pixels of a decoded image.
    """

    def __init__(self, records: Path, size: int, pipeline: Callable[[dict], dict],
                 is_kept: Callable[[int], bool], max_pixels: int = MAX_PIXELS):
        self._records, self._size, self._pipeline = records, size, pipeline
        self._is_kept, self._max_pixels = is_kept, max_pixels
        self._starts, position = array('q'), 0
        with open(records, 'rb') as file:
            for index, line in enumerate(file):
                if index % size == 0:
                    self._starts.append(position)
                position += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> PreparedBatch:
        batch, prepared = PreparedBatch(number), []
        with open(self._records, 'rb') as file:
            file.seek(self._starts[number])
            lines = [*islice(file, self._size)]
        for index, line in enumerate(lines, number * self._size):
            record = Record(*json.loads(line))
            info = dict(sample_idx=index, img_path=record.name)
            label = {} if record.label is None else dict(gt_label=record.label)
            try:
                image, ori_shape = record.read(self._max_pixels)
                prepared.append(self._prepare(image, ori_shape, **info, **label))
            except OSError as error:
                batch.left_out.append(dict(info, left_out=str(error)))
                continue
            if self._is_kept(index):
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


def _load(batches, numbers, workers):
    """Load batches in the given order, prepared ahead by worker processes."""
    workers = min(workers, len(numbers))
    return iter(DataLoader(
        batches, batch_size=None, sampler=numbers, collate_fn=_identity, num_workers=workers,
        multiprocessing_context='fork' if workers else None))  # mmengine's default


def _identity(batch):
    return batch


# ---------------------------------------------------------------- progress on the disk

class PartFile:
    """Appends batches to a new file, one line with a checksum each, as soon as they are there.

    A process that is killed leaves complete lines and possibly a partial one, which
    :func:`read_part` skips.
    """

    def __init__(self, path: Path):
        self._file = open(path, 'xb')

    def append(self, number: int, images: list[dict]) -> None:
        """Append the results of a batch; if the disk is full, earlier lines are kept."""
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
        UserError: If a line is damaged; the last one may be incomplete.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b'\n'):
                return
            checksum, _, content = line[:-1].partition(b' ')
            if checksum != b'%08x' % zlib.crc32(content):
                raise UserError(f'{path}, line {number} is damaged; delete the file and continue '
                                'with --resume, which localizes its images again.')
            yield json.loads(content)


def merge_parts(paths: Iterable[Path], total: int) -> Iterator[dict]:
    """The images of all files in order; holds one line per file in memory.

    Args:
        paths (Iterable[Path]): Files, in each of which the batches are in ascending order.
        total (int): Number of images.

    Raises:
        UserError: Unless there is exactly one result for each image.
    """
    batches = heapq.merge(*map(read_part, paths), key=lambda batch: batch[0])
    expected = 0
    for image in (image for _, images in batches for image in images):
        if image['sample_idx'] != expected:
            break
        yield image
        expected += 1
    else:
        if expected == total:
            return
    raise UserError(f'the results of image {expected} are missing or doubled, so the files of '
                    'this run were changed; delete its folder "unfinished" and start again.')


def covers(box: Sequence[float], shape: Sequence[int], share: float = 0.9) -> bool:
    """Whether a box x0, y0, x1, y1 takes at least a share of an image of shape (H, W)."""
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0) >= share * shape[0] * shape[1]


class RunFolder:
    """The folder for results, with the progress of a run in ``unfinished/`` below it.

    Files of an earlier run, and its folders of ``FOLDERS``, remain until all images are done.

    Args:
        path (Path): The folder, created if missing.

    Attributes:
        records (Path): The list of images of an unfinished run.
        pictures (Path): The folder for the pictures of an unfinished run.
        score_maps (Path): The folder for its score maps.

    Raises:
        UserError: If the folder cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._unfinished = path / 'unfinished'
        self.records = self._unfinished / 'inputs.jsonl'
        self.pictures, self.score_maps, *_ = self._folders = [
            self._unfinished / name for name in FOLDERS]
        self._listed = self._unfinished / 'inputs.new'
        self._identity = self._unfinished / 'run.json'
        self._finished = path / 'run.json'
        self._cached_kind_of = lru_cache(128)(self._kind_of)  # files of a folder come one by one
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
                False, or the run to resume is a different one, or a folder of results holds
                other files, which a new run would remove.
        """
        try:
            # a POSIX lock, because forked processes do not inherit it
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(f'another run is using {str(self.path)!r}; wait for it, or choose '
                            'another folder with --out.') from error
        for folder in (self.path, self._unfinished, self.pictures):
            remove_leftovers(folder)
        try:
            return self._begin(records, identity, resume)
        finally:
            self._listed.unlink(missing_ok=True)
            if not self._identity.exists():
                shutil.rmtree(self._unfinished)

    def _begin(self, records, identity, resume):
        unfinished = self._identity.exists() and any(part.stat().st_size for part in self._parts)
        if unfinished and not resume:
            raise UserError(f'{str(self.path)!r} holds an unfinished run; continue it with '
                            f'--resume, or delete {str(self._unfinished)!r}.')
        inputs = self._list(records)
        identity = dict(identity, inputs=inputs)
        earlier = self._identity if unfinished else self._finished
        if resume and earlier.exists():
            recorded = read_json_mapping(earlier)
            if differing := [name for name in identity if recorded.get(name) != identity[name]]:
                raise UserError(
                    f'{str(self.path)!r} cannot be resumed, because its run had other '
                    f'{" and ".join(differing)}; repeat the command of that run with --resume, '
                    'or choose another folder with --out.')
            if not unfinished:
                return None
        if not unfinished:
            self._check_folders()
            for part in self._parts:  # empty, or of a run that was killed while finishing
                part.unlink()
            for folder in self._folders:
                if folder.exists():
                    shutil.rmtree(folder)
                folder.mkdir()
        os.replace(self._listed, self.records)  # the same again where a run is resumed
        if not unfinished:
            self._write(self._identity, identity)
        return inputs['count']

    def _list(self, records):
        digest, number = hashlib.sha256(), 0
        with open(self._listed, 'wb') as file:
            for record in records:
                line = json.dumps(record).encode() + b'\n'
                file.write(line)
                digest.update(line)
                number += 1
        return dict(count=number, sha256=digest.hexdigest())

    def owns(self, file: str) -> bool:
        """Whether a file is a result of a run here, or part of an unfinished one."""
        folder, name = os.path.split(file)
        kind = self._cached_kind_of(folder)
        return kind == 'below' or kind == 'self' and (
            name_when_complete(name) in (*RESULTS, self._finished.name))

    def _kind_of(self, folder):
        folder, own = Path(folder).resolve(), self.path.resolve()
        if folder == own:
            return 'self'
        below = [own / name for name in (self._unfinished.name, *FOLDERS)]
        return 'below' if any(map(folder.is_relative_to, below)) else None

    def remaining(self, num_batches: int) -> list[int]:
        """Numbers of the batches that are not done yet."""
        done = np.zeros(num_batches, bool)
        for part in self._parts:
            for number, _ in read_part(part):
                done[number] = True
        return np.flatnonzero(~done).tolist()

    @property
    def _parts(self) -> list[Path]:
        return sorted(self._unfinished.glob('rank*.jsonl'))

    def new_part(self, rank: int) -> PartFile:
        """Create a file for the next batches of a rank."""
        paths = (self._unfinished / f'rank{rank}.{attempt}.jsonl' for attempt in count())
        return PartFile(next(path for path in paths if not path.exists()))

    def merge(self, total: int, class_names: Sequence[str], min_score: float,
              formats: Sequence[str]) -> dict:
        """Write the results of all parts; returns the summary of :func:`localize_files`.

        Raises:
            UserError: If no image could be used; earlier results then stay.
        """
        if all('left_out' in image for image in merge_parts(self._parts, total)):
            first = next(merge_parts(self._parts, total))
            shutil.rmtree(self._unfinished)
            raise UserError(f'none of the {total:,} images could be used. The first one: '
                            f'{first["left_out"]}')
        drawn, covering = 0, 0
        sentences: list[str] = []

        def watched():
            nonlocal drawn, covering
            for image in merge_parts(self._parts, total):
                drawn += 'drawn' in image
                if 'left_out' not in image:
                    covering += covers(image['pred_box'], image['ori_shape'])
                elif len(sentences) < MAX_NAMED:
                    sentences.append(image['left_out'])
                yield image

        numbers = write_results(self.path, watched(), class_names, min_score, formats,
                                self._unfinished)
        return dict(numbers, drawn=drawn, covering=covering, sentences=sentences)

    def finish(self, summary: dict) -> None:
        """Leave nothing but results, and ``run.json`` with identity and summary of the run.

        Raises:
            UserError: If a folder of results holds other files, which would be removed.
        """
        self._check_folders()
        for name in FOLDERS:
            new, old = self._unfinished / name, self.path / name
            if new.exists():  # or a run that was killed here had moved it already
                if old.exists():
                    shutil.rmtree(old)
                if any(new.iterdir()):
                    os.replace(new, old)
        self._write(self._identity, dict(read_json_mapping(self._identity), summary=summary))
        os.replace(self._identity, self._finished)
        shutil.rmtree(self._unfinished)

    def summary(self) -> dict:
        """What :meth:`finish` was given by the run that is finished."""
        return read_json_mapping(self._finished)['summary']

    def _check_folders(self):
        """Folders of results are replaced as a whole."""
        for name, expected in FOLDERS.items():
            folder = self.path / name
            if not os.path.lexists(folder):
                continue
            is_folder = folder.is_dir() and not folder.is_symlink()
            for path in folder.rglob('*') if is_folder else [folder]:
                if not (is_folder and (path.is_dir() or expected.fullmatch(path.name))):
                    raise UserError(f'{str(path)!r} is not of an earlier run, and this run would '
                                    f'replace {str(folder)!r}; move it, or choose another folder '
                                    'with --out.')

    @staticmethod
    def _write(path, content):
        with open_atomically(path) as file:
            file.write(to_json(content, indent=2) + '\n')
