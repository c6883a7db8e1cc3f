"""Localization in any number of images, on any number of processes."""
import errno
import hashlib
import heapq
import json
import math
import os
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import lru_cache, partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from torch.utils.data import DataLoader, Dataset

from cicam_lite import find_instances, get_box_rule, refine_by_grabcut, resize_mask
from cicam_mm.checkpoints.weights import weights_digest
from cicam_mm.evaluation.pooled_metric import judged_map
from cicam_mm.evaluation.score_maps import write_score_map
from cicam_mm.utils.console import with_progress
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.io import (
    lock_folder,
    open_atomically,
    read_json_mapping,
    remove_leftovers,
    to_json,
    write_atomically,
)
from cicam_mm.visualization import class_name

from .coco import encode_rle
from .formats import FOLDER_FORMATS, annotation_path, path_below
from .inferencer import PreparedBatch, WSOLInferencer, prepare_batch
from .inputs import Record, list_inputs
from .outputs import FOLDERS, RESULTS, write_results

#: How many of the images left out are named in the summary; all are in ``left_out.json``.
MAX_NAMED = 20
#: Batches after which ranks wait for each other: fast ones must not get ahead by the timeout.
MEETING = 100


@dataclass
class Options:
    """Options that affect the results; see also :func:`write_results`.

    Attributes:
        pictures: Number of images to draw, spread evenly over all; None draws all.
        use_labels: Whether images with a label get the box of that class.
        score_maps: 'npy' or 'png' to write score maps, see :func:`write_score_map`.
        instances: Whether each component of a score map becomes an annotation.
        min_area: Least area of a component as a share of the image.
        refine: 'grabcut' for :func:`refine_by_grabcut` of each annotation.
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

    @property
    def by_instance(self) -> bool:
        """Whether annotations are regions of the map in place of the predicted box."""
        return bool(self.instances or self.masks or self.refine)

    def __post_init__(self):
        if self.top_k > 1 and self.by_instance:
            raise UserError('instances, masks and refined boxes are those of the best class only; '
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
    ``out/unfinished`` keeps its progress, with which ``resume`` continues a run that was killed.

    Args:
        paths (Sequence[str]): Inputs, see :func:`list_inputs`; folders and globs leave out what
            this function writes.
        workers (int): Processes per rank that read and prepare images.

    Returns:
        dict | None: What :func:`write_results` returns, with the number of pictures, ``drawn``,
        that of boxes over nearly the whole image, ``covering``, and the reasons for the first
        images left out, ``sentences``; None on all ranks except the first.

    Raises:
        UserError: If inputs, folder or options are invalid, if no image could be used, or if the
            disk is full.
    """
    rank, world_size = get_dist_info()
    folder = RunFolder(out)
    try:
        plan = _on_first_rank(lambda: _begin(folder, inferencer, paths, options, resume))
        if plan is None:
            return folder.summary() if rank == 0 else None
        total, remaining = plan
        numbers = remaining[rank::world_size]
        is_drawn = partial(_is_drawn, total=total, pictures=options.pictures)
        prepared = _Prepared(
            pipeline=inferencer.pipeline, max_pixels=inferencer.max_pixels,
            is_kept=(lambda index: True) if options.refine else is_drawn)
        workers = min(workers, len(numbers))
        loader: Iterable[PreparedBatch] = DataLoader(
            prepared, sampler=folder.batches(numbers, options.batch_size), batch_size=None,
            num_workers=workers,
            multiprocessing_context='fork' if workers else None)  # mmengine's default
        if rank == 0:
            num_batches = math.ceil(total / options.batch_size)
            loader = with_progress(loader, _progress(num_batches, len(remaining), world_size))
        with folder.new_part(rank) as part:
            for step, (number, batch) in enumerate(zip(numbers, loader, strict=True), 1):
                append_batch(part, number, _localize(batch, inferencer, folder, options, is_drawn))
                if step % MEETING == 0 and step <= len(remaining) // world_size:
                    barrier()
        barrier()
        if rank > 0:
            return None
        summary = folder.merge(total, _class_names(inferencer), options)
        folder.finish(summary)
        return summary
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f'{error.strerror}: {str(out)!r} keeps the progress; free some '
                        'space and continue with --resume.') from error


def _on_first_rank(work):
    """What ``work`` returns or raises on the first rank, on all of them."""
    rank, world_size = get_dist_info()
    if world_size == 1:
        return work()
    found = [None]
    if rank == 0:
        try:
            found = [work()]
        except Exception as error:  # the other ranks would wait for this one
            found = [UserError(as_sentence(error) or repr(error))]
    broadcast_object_list(found)
    if isinstance(found[0], UserError):
        raise found[0]
    return found[0]


def _begin(folder, inferencer, paths, options, resume):
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
    """Refuse labels on only some images, labels with --top-k, and images that share a file."""
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


class _Prepared(Dataset):
    """Batches that workers prepare; an index is that of the first record, and the records."""

    def __init__(self, **options):
        self._options = options

    def __getitem__(self, batch: tuple[int, list[Record]]) -> PreparedBatch:
        first, records = batch
        return prepare_batch(records, first, **self._options)


def _localize(batch, inferencer, folder, options, is_drawn):
    """The images of a batch in their order: the result of each, or why it is left out."""
    kept = ['sample_idx', 'img_path', 'ori_shape', 'pred_label', 'pred_class', 'pred_score',
            'pred_box']
    if options.top_k > 1:
        kept += ['top_labels', 'top_scores', 'top_boxes']
    images = [*batch.left_out]
    for sample in inferencer.predict(batch.data) if batch.data else ():
        if 'gt_label' in sample:
            sample.set_data(dict(pred_label=sample.gt_label, pred_box=sample.label_box))
            if 'label_map' in sample:
                sample.set_data(dict(score_map=sample.label_map))
        result = inferencer.postprocess(sample)
        image = {key: result[key] for key in kept if key in result}
        picture = batch.pictures.get(sample.sample_idx)
        if options.by_instance:
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
            inferencer.visualize(picture, sample, folder.unfinished / 'pictures')
            image['drawn'] = True
        if options.score_maps:
            file = f'{path_below(sample.img_path)}.{options.score_maps}'
            write_score_map(folder.unfinished / 'score_maps' / file,
                            judged_map(sample.score_map.numpy(), sample.img_shape))
        images.append(image)
    return sorted(images, key=lambda image: image['sample_idx'])


def _find_instances(localizer, sample, picture, options):
    score_map, rule = sample.score_map.numpy(), get_box_rule(localizer.box_rule)
    found = find_instances(score_map, rule, localizer.theta, sample.img_shape, sample.ori_shape,
                           options.instances, options.min_area)
    if options.refine:
        found = [refine_by_grabcut(picture, score_map, each, sample.ori_shape) for each in found]
    return found


# ---------------------------------------------------------------- progress on the disk

def append_batch(part: BinaryIO, number: int, images: list[dict]) -> None:
    """Append the results of a batch to a file, as a line of JSON, and flush it.

    A process that is killed leaves complete lines and possibly a partial one, which
    :func:`read_part` skips.
    """
    part.write(to_json([number, images]).encode() + b'\n')
    part.flush()


def read_part(path: Path) -> Iterator[tuple[int, list[dict]]]:
    """Complete batches of a file, in the order they were added: number and images."""
    with open(path, 'rb') as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b'\n'):
                return
            try:
                batch = json.loads(line)
            except ValueError:
                raise UserError(f'{path}, line {number} is damaged; delete the file and continue '
                                'with --resume, which localizes its images again.') from None
            yield batch


def merge_parts(paths: Iterable[Path], total: int) -> Iterator[dict]:
    """The results of all images in order; holds one line per file in memory.

    In each file the batches are in ascending order. Each image must have exactly one result.
    """
    batches = heapq.merge(*map(read_part, paths), key=lambda batch: batch[0])
    images = chain.from_iterable(images for _, images in batches)
    for number, image in zip_longest(range(total), images):
        if image is None or image['sample_idx'] != number:
            raise UserError('results are missing or doubled, so the files of this run were '
                            'changed; delete its folder "unfinished" and start again.')
        yield image


class RunFolder:
    """The folder for results, with the progress of a run in ``unfinished/`` below it.

    Files of an earlier run, and its folders of ``FOLDERS``, remain until all images are done.
    """

    def __init__(self, path: Path):
        self.path, self.unfinished = path, path / 'unfinished'
        self.records = self.unfinished / 'inputs.jsonl'
        self._identity = self.unfinished / 'run.json'
        self._finished = path / 'run.json'
        self._real_path = lru_cache(128)(os.path.realpath)  # files of a folder come one by one

    def begin(self, records: Iterable[Record], identity: dict, resume: bool) -> int | None:
        """List the images, and start or resume their run.

        Returns their number, or None if the run is finished. ``identity`` is everything besides
        the images that identifies the run.

        Raises:
            UserError: If another run uses the folder or left it unfinished, if the run to resume
                is a different one, or if a new run would remove files that are no results.
        """
        self._lock = lock_folder(self.unfinished / 'lock',
                                 f'another run is using {str(self.path)!r}')
        goes_on = self._identity.exists() and any(part.stat().st_size for part in self._parts)
        if goes_on and not resume:
            raise UserError(f'{str(self.path)!r} holds an unfinished run; continue it with '
                            f'--resume, or delete {str(self.unfinished)!r}.')
        # what a killed run has left, except for what the run to resume has done
        for folder in (self.path, *self.unfinished.glob('**/')):
            remove_leftovers(folder)
        for path in self.unfinished.iterdir() if not goes_on else ():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != 'lock':
                path.unlink()
        try:
            with open_atomically(self.records, 'wb') as file:
                identity = dict(identity, inputs=_write_records(file, records))
                earlier = self._identity if goes_on else self._finished
                if resume and earlier.exists():
                    self._check_same(read_json_mapping(earlier), identity)
                    if not goes_on:
                        return None
                self._check_folders()
                if not goes_on:
                    for name in FOLDERS:
                        (self.unfinished / name).mkdir()
                    write_atomically(self._identity, to_json(identity, indent=2) + '\n')
        finally:
            if not self._identity.exists():
                shutil.rmtree(self.unfinished)
        return identity['inputs']['count']

    def _check_same(self, recorded, identity):
        if differing := [name for name in identity if recorded.get(name) != identity[name]]:
            raise UserError(
                f'{str(self.path)!r} cannot be resumed, because its run had other '
                f'{" and ".join(differing)}; repeat the command of that run with --resume, '
                'or choose another folder with --out.')

    def _check_folders(self):
        """Refuse files of others in the folders of results, which are replaced as a whole."""
        for name, own in FOLDERS.items():
            folder = self.path / name
            for path in chain([folder] if os.path.lexists(folder) else [], folder.rglob('*')):
                is_folder = path.is_dir() and not path.is_symlink()
                if not is_folder and not re.fullmatch(fr'{own}|\..*', path.name, re.DOTALL):
                    raise UserError(f'{str(path)!r} is not of an earlier run, and this run would '
                                    f'replace {str(folder)!r}; move it, or choose another folder '
                                    'with --out.')

    def owns(self, file: str) -> bool:
        """Whether a file is a result of a run here, or part of an unfinished one."""
        folder, name = os.path.split(file)
        path, own = f'{self._real_path(folder)}/{name}', f'{self._real_path(self.path)}/'
        return path.startswith(own) and path.removeprefix(own).partition('/')[0] in (
            *RESULTS, *FOLDERS, self._finished.name, self.unfinished.name)

    @property
    def _parts(self) -> list[Path]:
        return [*self.unfinished.glob('rank*.jsonl')]

    def new_part(self, rank: int) -> BinaryIO:
        """A file for the next batches of a rank, see :func:`append_batch`."""
        return open(self.unfinished / f'rank{rank}.{secrets.token_hex(4)}.jsonl', 'xb')

    def remaining(self, num_batches: int) -> list[int]:
        """Numbers of the batches that are not done yet."""
        done = {number for part in self._parts for number, _ in read_part(part)}
        return [number for number in range(num_batches) if number not in done]

    def batches(self, numbers: Iterable[int], size: int) -> Iterator[tuple[int, list[Record]]]:
        """For each batch, in ascending order, the index of its first record, and its records.

        The list stays in its file, so that no process holds millions of names in memory.
        """
        with open(self.records, 'rb') as file:
            position = 0
            for first in (number * size for number in numbers):
                lines = islice(file, first - position, first - position + size)
                yield first, [Record(*json.loads(line)) for line in lines]
                position = first + size

    def merge(self, total: int, class_names: Sequence[str], options: Options) -> dict:
        """Write the results of all parts; returns the summary of :func:`localize_files`.

        If no image could be used, this raises a UserError, and earlier results stay.
        """
        counts: Counter = Counter()
        sentences: list[str] = []

        def counted():
            for image in merge_parts(self._parts, total):
                if 'left_out' not in image:
                    (x0, y0, x1, y1), (height, width) = image['pred_box'], image['ori_shape']
                    counts['drawn'] += 'drawn' in image
                    counts['covering'] += (x1 - x0) * (y1 - y0) >= 0.9 * height * width
                elif len(sentences) < MAX_NAMED:
                    sentences.append(image['left_out'])
                yield image
            if not counts:
                shutil.rmtree(self.unfinished)
                raise UserError(f'none of the {total:,} images could be used. The first one: '
                                f'{sentences[0]}')

        numbers = write_results(self.path, counted(), class_names, options.min_score,
                                options.formats, self.unfinished, options.top_k)
        return dict(numbers, **counts, sentences=sentences)

    def finish(self, summary: dict) -> None:
        """Leave nothing but results, and ``run.json`` with identity and summary of the run."""
        self._check_folders()
        for name in FOLDERS:
            new, old = self.unfinished / name, self.path / name
            if new.exists():  # or a run that was killed here had moved it already
                if old.exists():
                    shutil.rmtree(old)
                if any(new.iterdir()):
                    os.replace(new, old)
        content = dict(read_json_mapping(self._identity), summary=summary)
        write_atomically(self._finished, to_json(content, indent=2) + '\n')
        shutil.rmtree(self.unfinished)

    def summary(self) -> dict:
        """What :meth:`finish` was given by the run that is finished."""
        return read_json_mapping(self._finished)['summary']


def _write_records(file, records):
    digest, total = hashlib.sha256(), 0
    for record in records:
        line = json.dumps(record).encode() + b'\n'
        file.write(line)
        digest.update(line)
        total += 1
    return dict(count=total, sha256=digest.hexdigest())
