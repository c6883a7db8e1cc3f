"""Localization in any number of images, on any number of processes."""
import errno
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from mmengine.dist import barrier, broadcast_object_list, get_dist_info

from cicam_mm.apis import WSOLInferencer
from cicam_mm.errors import UserError
from cicam_mm.visualization import class_name

from .identity import config_digest, weights_digest
from .inputs import list_inputs
from .prepared_batches import PreparedBatch, PreparedBatches, load
from .progress import with_progress
from .record_file import RecordBatches
from .result_files import write_results
from .run_folder import RunFolder


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
            sample.set_data(dict(pred_label=sample.gt_label, pred_box=sample.label_box))
            if 'label_map' in sample:
                sample.set_data(dict(score_map=sample.label_map))
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
