"""A model as one ONNX file."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from cicam_lite import OnnxLocalizer
from cicam_lite.onnx_localizer import INTERPOLATIONS, METADATA, ModelError
from cicam_mm.apis.inferencer import WSOLInferencer
from cicam_mm.datasets.images import read_image
from cicam_mm.datasets.wrappers import pipeline_config, type_name
from cicam_mm.models import MapsOfClassifier
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import open_atomically, to_json


class LocalizationGraph(nn.Module):
    """Computes class scores and score maps of images, preprocessing included."""

    def __init__(self, model: ImageClassifier):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From images (B, H, W, 3), BGR, uint8, of the network's size.

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
    """``size`` (H, W) of the resizing in a test pipeline, and ``interpolation``, by OpenCV's name.

    Raises:
        UserError: If the pipeline does anything else to the image.
    """
    steps = [step for step in pipeline_config(cfg.test_dataloader.dataset)
             if type_name(step) not in LOADING]
    step = steps[0] if [*map(type_name, steps)] == ['Resize'] else {}
    if not step.get('scale') or step.get('keep_ratio'):
        raise UserError(
            'the test pipeline of an exported model must squash the whole image to one size, but '
            f'that of this config consists of {", ".join(map(type_name, steps))}; use a '
            "config with only a dict(type='Resize', scale=(width, height)).")
    backend, name = step.get('backend', 'cv2'), step.get('interpolation', 'bilinear')
    if backend != 'cv2' or name not in INTERPOLATIONS:
        raise UserError(
            f'the test pipeline resizes with {backend}, interpolation {name!r}, which exported '
            f"models do not support; set backend='cv2' and one of {', '.join(INTERPOLATIONS)}.")
    scale = step['scale']
    width, height = (scale, scale) if isinstance(scale, int) else scale
    return dict(size=[height, width], interpolation=INTERPOLATIONS[name])


#: Largest differences from the model: of a class score, and of a box in pixels.
MAX_SCORE, MAX_BOX = 1e-4, 1


def export_onnx(inferencer: WSOLInferencer, out: Path, images: Sequence = (),
                opset: int = 20) -> dict:
    """Export a model on the CPU to ONNX, for any batch size, with operators of opset 17 to 20.

    The file takes its place only after a comparison with the model on ``images``: files, or arrays
    as OpenCV reads them.

    Returns:
        dict: The differences, see :func:`check_export`.

    Raises:
        UserError: If the test pipeline does more than squash the image, or the model has an
            operator that this version has not or treats the size of a batch as a constant, or if
            a score differs by more than ``MAX_SCORE`` or a box by more than ``MAX_BOX`` pixels.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f'the export needs {error.name}; install what it needs with pip install '
                        "'cicam_mm[onnx]'.") from error

    if not 17 <= opset <= 20:
        raise UserError(f'models are not exported to opset {opset}; take one of 17 to 20.')
    head = inferencer.model.head
    if isinstance(head, MapsOfClassifier):
        raise UserError(f'the maps of {head.method} take another pass through the network, which '
                        'an ONNX file does not hold; export with the method cam.')
    preparation = describe_preparation(inferencer.config)
    example = torch.zeros(2, *preparation['size'], 3, dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                LocalizationGraph(inferencer.model), (example, ), dynamo=True, verbose=False,
                input_names=['images'], output_names=['scores', 'top_labels', 'score_maps'],
                opset_version=max(opset, 18), dynamic_shapes=({0: torch.export.Dim('batch')}, ))
    except torch.onnx.OnnxExporterError as error:
        raise UserError(f'this model cannot be exported: {_cause(error)}') from error
    model = program.model_proto
    if opset == 17:
        _lower_to_17(model)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise UserError('this model cannot be exported for batches of any size: something in it '
                        'takes the size of a batch for a constant.')
    localizer = head.localizer
    about = dict(classes=inferencer.classes and list(inferencer.classes), **preparation,
                 map_rule=localizer.map_rule, box_rule=localizer.box_rule, theta=localizer.theta)
    onnx.helper.set_model_props(model, {METADATA: to_json(about)})
    with open_atomically(out, 'wb') as file:
        file.write(model.SerializeToString())
        file.flush()
        try:
            found = check_export(inferencer, Path(file.name), images)
        except ModelError as error:
            raise UserError(f'{out} was not written: {error}') from error
        if not (found['score'] <= MAX_SCORE and found['box'] <= MAX_BOX):
            raise UserError(
                f'{out} was not written, because the exported model differs from the original: '
                f'class scores by up to {found["score"]:.1e}, more than {MAX_SCORE:.0e}, or boxes '
                f'by up to {found["box"]} pixels, more than {MAX_BOX}; report this with the '
                'versions of torch, onnx and onnxruntime.')
    return found


def check_export(inferencer: WSOLInferencer, path: Path, images: Sequence) -> dict:
    """Compare an exported model with the original on images, files or arrays.

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


#: Attributes that opset 18 gave to operators of before; the exporter writes their defaults.
SINCE_18 = 'noop_with_empty_axes', 'num_outputs', 'antialias', 'keep_aspect_ratio_policy'


def _lower_to_17(model):
    """Rewrite operators that opset 18 changed, as PyTorch's exporter begins there.

    ONNX's own converter stops at ``Split`` and leaves attributes that opset 17 does not know.
    """
    import onnx

    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == 'ReduceSum':  # as in 18 since 13
            continue
        if node.op_type.startswith('Reduce') and node.input[1:]:
            axes = onnx.numpy_helper.to_array(constants[node.input.pop()])
            node.attribute.append(onnx.helper.make_attribute('axes', axes.tolist()))
        for attribute in [each for each in node.attribute if each.name in SINCE_18]:
            node.attribute.remove(attribute)
    used = {name for node in model.graph.node for name in node.input}
    for name in constants.keys() - used:
        model.graph.initializer.remove(constants[name])
    model.opset_import[0].version = 17
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its errors have no class in common
        raise UserError(f'this model cannot be exported with --opset 17: '
                        f'{str(error).splitlines()[0]}; take 18 or more.') from error


def _cause(error: Exception) -> str:
    """The first line of the innermost error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split('\n')[0]
