"""The exported model in onnxruntime, against torch."""

import tempfile
from pathlib import Path

import torch

from cicam_mm.export import export_onnx
from cicam_mm.export.onnx import LocalizationGraph

from .models import SIDE, activate_non_local, cicam_inferencer
from .timing import Row, alternate, compare


def measure(batch: int, rounds: int) -> list[Row]:
    """From resized images to class scores and score maps of CI-CAM on VGG16, on the CPU."""
    import onnxruntime

    inferencer = cicam_inferencer()
    activate_non_local(inferencer.model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'cicam.onnx')
        export_onnx(inferencer, path)
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
    graph = LocalizationGraph(inferencer.model)
    images = torch.randint(256, (batch, SIDE, SIDE, 3), dtype=torch.uint8)
    by_onnx = {'images': images.numpy()}
    seconds = alternate({'torch': torch.no_grad()(lambda: graph(images)),
                         'onnxruntime': lambda: session.run(None, by_onnx)}, rounds)
    return compare(f'images to score maps, batch {batch}, an image', seconds, per=batch)
