"""Prediction of boxes, against the plain classifier, which predicts no boxes."""

import torch
from mmpretrain.structures import DataSample

from .models import PLAIN, SIDE, cicam, plain_classifier
from .timing import Row, alternate, compare


class Prediction:
    """Class scores of a batch of noise; with ``boxes`` also score maps and boxes."""

    def __init__(self,
                 model: torch.nn.Module,
                 batch: int,
                 order: torch.memory_format = torch.preserve_format,
                 boxes: bool = False,
                 device: str = 'cpu'):
        self.model = model.eval().to(device, memory_format=order)
        self.images = torch.randn(batch, 3, SIDE, SIDE).to(device, memory_format=order)
        self.boxes = boxes

    @torch.no_grad()
    def __call__(self):
        if not self.boxes:
            return self.model(self.images)
        size = dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE))
        return self.model.predict(self.images, [DataSample(metainfo=size) for _ in self.images])


def measure(batch: int, rounds: int, device: str) -> list[Row]:
    torch.manual_seed(0)
    last, boxes = torch.channels_last, dict(boxes=True, device=device)
    actions = {
        PLAIN: Prediction(plain_classifier(200), batch, device=device),
        f'{PLAIN}, channels last': Prediction(plain_classifier(200), batch, last, device=device),
        'CI-CAM, with boxes': Prediction(cicam(200), batch, **boxes),
    }
    if device == 'cpu':
        actions |= {f'CI-CAM, with boxes, {name.replace("_", " ")}': Prediction(
            cicam(200, memory_format=name), batch, **boxes) for name in ('channels_last', 'as_is')}
    seconds = alternate(actions, rounds, device=device)
    return compare(f'prediction, batch {batch}, an image', seconds, per=batch)
