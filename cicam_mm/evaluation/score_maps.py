"""Score maps as files, which other tools write and read.

A map has values in [0, 1] and covers the whole image. It is an array (h, w) in a ``.npy`` file, as
"Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020) writes them, the only
array of an ``.npz`` file, or the grey values of a PNG of 8 or 16 bits.
"""
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from cicam_mm.datasets.box_frame import check_pipelines
from cicam_mm.datasets.wrappers import build_dataset, leaves, pipelines
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import check_regular, open_atomically, read_bytes

from .held_out import images_of
from .mask_iou import MaskIoU
from .max_box_acc import MaxBoxAcc
from .pooled_metric import judged_map
from .protocol import describe_criteria, describe_protocol
from .pxap import PxAP

SUFFIXES = ('.npy', '.npz', '.png')
#: Maximum size of a file in bytes.
MAX_FILE = 2**28


def find_score_maps(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file of each image that has one in a folder and its subfolders.

    Of the image ``val/1.JPEG`` it is ``val/1.JPEG`` or ``val/1`` with a suffix of ``SUFFIXES``.

    Raises:
        UserError: If there is no map at all, a file belongs to no image, or an image has two.
    """
    image_of = {str(Path(name).with_suffix('')): name for name in names}
    if len(image_of) < len(names):  # 1.jpg and 1.png
        image_of = {}
    image_of |= {name: name for name in names}
    found = {}
    for path in sorted(path for path in folder.rglob('*') if path.suffix in SUFFIXES):
        name = image_of.get(path.relative_to(folder).with_suffix('').as_posix())
        if name is None:
            raise UserError(f'{path} belongs to no image of the data set, whose first is '
                            f'{names[0]}; name maps like the images, or remove the file.')
        if name in found:
            raise UserError(f'{found[name]} and {path} belong to the same image; remove one.')
        found[name] = path
    if not found:
        raise UserError(f'there is no score map ({", ".join(SUFFIXES)}) in {folder}.')
    return found


def read_score_map(path: Path, shapes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Read a score map: floats in [0, 1], of one of the shapes (h, w), else a UserError."""
    check_regular(path, MAX_FILE)
    try:
        score_map = _read_png(path) if path.suffix == '.png' else _read_array(path)
    except Exception as error:  # damaged bytes can raise anything
        raise UserError(f'{path} is not a score map: {error}') from error
    if score_map.shape not in shapes:
        allowed = ' or '.join(map(str, dict.fromkeys(shapes)))
        raise UserError(f'{path} has the shape {score_map.shape}, but must have {allowed}, height '
                        "and width of the network's input or of the image.")
    if not (score_map.min() >= 0 and score_map.max() <= 1):  # false for NaN, too
        raise UserError(f'{path} has values from {score_map.min():g} to {score_map.max():g}, but '
                        'must be in [0, 1]; stretch each map to that range.')
    return score_map


def _read_array(path):
    with open(path, 'rb') as file:
        array = np.load(file, allow_pickle=False)
        if path.suffix == '.npz':
            if len(array.files) != 1:
                raise UserError(f'it holds {len(array.files)} arrays instead of one')
            array = array[array.files[0]]
    if array.dtype.kind != 'f':
        raise UserError(f'its values are {array.dtype} instead of floats')
    return array


def _read_png(path):
    grey = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_UNCHANGED)
    if grey is None or grey.ndim != 2:
        raise UserError('it is not an image of grey values')
    return grey / np.iinfo(grey.dtype).max


def samples_with_maps(dataset: Dataset, maps: Mapping[str, Path],
                      frame: str = 'original') -> Iterator[DataSample]:
    """The ground truth of each image of a data set, with its score map as ``judged_map``.

    The pipeline of the data set defines the size at which maps are judged; the files come from
    :func:`find_score_maps`. They cover the image or, if the ``frame`` of the ground truth is
    'input', what the pipeline leaves of it. A missing file is a UserError.
    """
    names = names_of(dataset)
    if missing := [name for name in names if name not in maps]:
        raise UserError(f'{len(missing)} of {len(names)} images have no score map, the first is '
                        f'{missing[0]}; write the map of each image.')
    for index, name in enumerate(names):
        sample = dataset[index]['data_samples']
        size = tuple(sample.img_shape[:2])
        shapes = size, tuple(sample.ori_shape[:2])
        score_map = read_score_map(maps[name], shapes if frame == 'original' else shapes[:1])
        if score_map.shape != size:
            score_map = judged_map(score_map, size)
        sample.set_data(dict(judged_map=score_map))
        sample.set_metainfo(dict(box_frame=frame))
        yield sample


def names_of(dataset: Dataset) -> list[str]:
    """The paths of the images of a data set, each relative to the root of its leaf.

    They are different, or a UserError is raised.
    """
    names = {}
    for leaf in leaves(dataset):
        for index in range(len(leaf)):
            path = leaf.get_data_info(index).get('img_path')
            if path is None:
                raise UserError(f'the images of {type(leaf).__name__} are not files, so no score '
                                'maps can be named like them.')
            names[path] = Path(os.path.relpath(path, leaf.data_root)).as_posix()
    for name, count in Counter(names.values()).most_common(1):
        if count > 1:
            raise UserError(f'{count} images are called {name}; judge the maps of each data set '
                            'by itself.')
    return [names[dataset.get_data_info(index)['img_path']] for index in range(len(dataset))]


def write_score_map(path: Path, score_map: np.ndarray) -> None:
    """Write a score map (h, w) in [0, 1] as ``.npy``, float32, or as ``.png``, 16 bits."""
    with open_atomically(path, 'wb') as file:
        if path.suffix == '.npy':
            np.save(file, score_map.astype(np.float32))
        else:
            grey = np.rint(score_map * 65535).astype(np.uint16)
            file.write(cv2.imencode('.png', grey)[1].tobytes())


class JudgedMaps(NamedTuple):
    """Result of :func:`judge_score_maps`.

    ``metrics`` are MaxBoxAcc and MaxBoxAccV2, with held-out images ``gt_known_loc``, with masks
    PxAP and ``mask_iou``. The metrics of ``evaluator`` hold the curves. ``theta`` is the threshold
    chosen on the held-out images, None without any.
    """
    metrics: dict
    evaluator: Evaluator
    protocol: dict
    num_images: int
    theta: float | None
    num_held_out: int


def judge_score_maps(cfg: Config, folder: Path) -> JudgedMaps:
    """Judge the score maps in a folder by the ground truth of a config's test set.

    If the folder also has the maps of the validation set, and none of its images is a test image
    or called like one, theta is chosen on them. It is that of ``gt_known_loc`` and ``mask_iou``;
    without such images, ``mask_iou`` is at the theta of ``max_box_acc``. Missing, surplus and
    invalid maps are UserErrors, as is ground truth in another frame than that of the config's
    localizer.
    """
    test = build_dataset(cfg.test_dataloader.dataset)
    val = build_dataset(cfg.val_dataloader.dataset) if cfg.get('val_dataloader') else []
    localizer = (cfg.get('model') or {}).get('head', {}).get('localizer') or {}
    frame = localizer.get('frame', 'original')
    check_pipelines(frame, *pipelines(test), *pipelines(val))
    names = names_of(test)
    held_out = names_of(val) if val and not images_of(val) & images_of(test) else []
    if not {*names}.isdisjoint(held_out):  # nothing tells whose map a file is
        held_out = []
    maps = find_score_maps(folder, [*names, *held_out])
    fields = set(next(samples_with_maps(test, maps, frame)).keys())
    judged = [MaxBoxAcc()] if 'gt_bboxes' in fields or 'gt_mask' not in fields else []
    evaluator = Evaluator([*judged, *([PxAP()] if 'gt_mask' in fields else [])])
    metrics, theta = _evaluate(evaluator, test, maps, frame), None
    if judged and not maps.keys().isdisjoint(held_out):
        chosen = Evaluator([MaxBoxAcc()])
        theta = _evaluate(chosen, val, maps, frame)['max_box_acc_threshold']
        curve = judged[0].curves
        at_theta = curve['max_box_acc'][curve['thresholds'].index(theta)]
        metrics = dict(gt_known_loc=at_theta, **metrics)
    if judged and 'gt_mask' in fields:
        at = metrics['max_box_acc_threshold'] if theta is None else theta
        metrics |= _evaluate(Evaluator([MaskIoU()]), test, maps, frame, at)
    kinds = [dict(type=type(metric).__name__) for metric in evaluator.metrics]
    if 'mask_iou' in metrics:
        kinds.append(dict(type='MaskIoU'))
    protocol = describe_protocol(Config(dict(cfg, model={})), num_images=len(test))
    protocol |= dict(frame=frame, localizer='score maps from files',
                     criteria=describe_criteria(kinds))
    return JudgedMaps(metrics, evaluator, protocol, len(test), theta,
                      len(held_out) if theta is not None else 0)


def _evaluate(evaluator, dataset, maps, frame, theta=None):
    for sample in samples_with_maps(dataset, maps, frame):
        if theta is not None:
            sample.set_data(dict(label_map=sample.judged_map, box_rule='wsoleval_bicubic',
                                 theta=theta))
        evaluator.process([sample])
    return evaluator.evaluate(len(dataset))
