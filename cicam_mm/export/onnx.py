"""A model as one ONNX file."""
import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from cicam_lite import OnnxLocalizer
from cicam_lite.onnx_localizer import METADATA
from cicam_mm.apis.inferencer import WSOLInferencer
from cicam_mm.datasets.images import read_image
from cicam_mm.datasets.wrappers import pipeline_config
from cicam_mm.models import MapsOfClassifier
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import open_atomically, to_json


class LocalizationGraph(nn.Module):
    """Computes class scores and score maps of images, preprocessing included.

    Args:
        model (ImageClassifier): A model with a :class:`WSOLHead`.
    """

    def __init__(self, model: ImageClassifier):
        super().__init__()
        self.model = model.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Localize the objects in a batch of images.

        Args:
            images (Tensor): BGR, uint8, resized to the network's input, shape (B, H, W, 3).

        Returns:
            tuple[Tensor, Tensor, Tensor]: Scores after the softmax (B, n), the best classes
            (B, k), and their score maps (B, k, h, w), or (B, 1, h, w) if they share one.
        """
        head, preprocessor = self.model.head, self.model.data_preprocessor
        images = images.permute(0, 3, 1, 2)
        if preprocessor.to_rgb:
            images = images.flip(1)
        images = images.float()
        if preprocessor._enable_normalize:
            images = (images - preprocessor.mean) / preprocessor.std
        scores, class_maps = head.localize(self.model.extract_feat(images))
        scores = scores.float()
        top_labels = scores.topk(head.num_boxes).indices
        maps = head.localizer.score_maps(class_maps, scores, top_labels).float()
        return scores.softmax(dim=1), top_labels, maps


LOADING = ('LoadImageFromFile', 'LoadWSOLImage', 'LoadAnnotations', 'LoadWSOLMask', 'PackInputs')


def describe_preparation(cfg: Config) -> dict:
    """Size and interpolation of the resizing in a test pipeline.

    Args:
        cfg (Config): A complete config.

    Returns:
        dict: ``size`` (H, W) and ``interpolation``, with OpenCV's name.

    Raises:
        UserError: If the pipeline does anything else to the image.
    """
    steps = [step for step in pipeline_config(cfg.test_dataloader.dataset)
             if step['type'].split('.')[-1] not in LOADING]
    if len(steps) != 1 or steps[0]['type'] != 'Resize' or steps[0].get('keep_ratio'):
        raise UserError(
            'the test pipeline of an exported model must squash the whole image to one size, but '
            f'that of this config consists of {", ".join(step["type"] for step in steps)}; use a '
            "config with only a dict(type='Resize', scale=(width, height)).")
    step, = steps
    if step.get('backend', 'cv2') != 'cv2':
        raise UserError(f'the test pipeline resizes with {step["backend"]}, which exported models '
                        "do not support; set backend='cv2'.")
    scale = step.get('scale')
    width, height = (scale, scale) if isinstance(scale, int) else scale
    interpolation = dict(bilinear='linear', bicubic='cubic').get(
        step.get('interpolation', 'bilinear'), step.get('interpolation'))
    return dict(size=[height, width], interpolation=interpolation)


#: Largest differences from the model: of a class score, and of a box in pixels.
MAX_SCORE, MAX_BOX = 1e-4, 1


def export_onnx(inferencer: WSOLInferencer, out: Path, images: Sequence = ()) -> dict:
    """Export a model to ONNX, for any batch size.

    The file takes its place only after the comparison with the model.

    Args:
        inferencer (WSOLInferencer): The model with its config and classes, on the CPU.
        out (Path): The file to write.
        images (Sequence[str | Path | np.ndarray]): Files, or arrays as OpenCV reads them, on which
            to compare. Defaults to none.

    Returns:
        dict: The differences, see :func:`check_export`.

    Raises:
        UserError: If the test pipeline does more than squash the image, or the model has an
            operator that ONNX has not or treats the size of a batch as a constant, or if a
            score differs by more than 1e-4 or a box by more than a pixel.
    """
    import onnx

    head = inferencer.model.head
    if isinstance(head, MapsOfClassifier):
        raise UserError(f'the maps of {head.method} take another pass through the network, which '
                        'an ONNX file does not hold; export with the method cam.')
    preparation = describe_preparation(inferencer.config)
    graph = LocalizationGraph(inferencer.model)
    localizer = head.localizer
    example = torch.zeros(2, *preparation['size'], 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                graph, (example, ), dynamo=True, verbose=False, input_names=['images'],
                output_names=['scores', 'top_labels', 'score_maps'],
                dynamic_shapes=({0: torch.export.Dim('batch')}, ))
    except torch.onnx.OnnxExporterError as error:
        raise UserError(f'this model cannot be exported: {_cause(error)}') from error
    model = program.model_proto
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise UserError('this model cannot be exported for batches of any size: something in it '
                        'takes the size of a batch for a constant.')
    about = dict(classes=inferencer.classes and list(inferencer.classes), **preparation,
                 map_rule=localizer.map_rule, box_rule=localizer.box_rule, theta=localizer.theta)
    onnx.helper.set_model_props(model, {METADATA: to_json(about)})
    with open_atomically(out, 'wb') as file:
        file.write(model.SerializeToString())
        file.flush()
        found = check_export(inferencer, Path(file.name), images)
        if not (found['score'] <= MAX_SCORE and found['box'] <= MAX_BOX):
            raise UserError(
                f'{out} was not written, because the exported model differs from the original: '
                f'class scores by up to {found["score"]:.1e}, more than {MAX_SCORE:.0e}, or boxes '
                f'by up to {found["box"]} pixels, more than {MAX_BOX}; report this with the '
                'versions of torch, onnx and onnxruntime.')
    return found


def check_export(inferencer: WSOLInferencer, path: Path, images: Sequence) -> dict:
    """Compare an exported model with the original on images.

    Args:
        inferencer (WSOLInferencer): The model.
        path (Path): The ONNX file.
        images (Sequence[str | Path | np.ndarray]): Files, or arrays as OpenCV reads them.

    Returns:
        dict: ``images``, their number; ``score``, the largest difference of a class score;
        ``box``, the largest difference of a coordinate of the first box, in pixels; ``moved``, the
        number of boxes that differ.
    """
    localizer = OnnxLocalizer(path, ['CPUExecutionProvider'])
    score, moved, box = 0., 0, 0
    for image in images:
        if not isinstance(image, np.ndarray):  # the readers of the two sides may differ
            image = read_image(image, inferencer.max_pixels)[0][..., ::-1]
        expected = inferencer.postprocess(next(inferencer.stream([image]))[1])
        found, = localizer([image])
        difference = np.abs(found['pred_scores'] - expected['pred_scores']).max()
        score = float(np.maximum(score, difference))  # NaN, too
        distance = int(np.abs(np.subtract(found['pred_box'], expected['pred_box'])).max())
        moved, box = moved + (distance > 0), max(box, distance)
    return dict(images=len(images), score=score, box=box, moved=moved)


@contextmanager
def _quiet():
    """Suppress the log messages and warnings of the exporter."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
    logger.setLevel(level)


def _cause(error: Exception) -> str:
    """The first line of the innermost error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split('\n')[0]
