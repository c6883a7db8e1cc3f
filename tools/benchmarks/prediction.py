"""From images to boxes, against the plain classifier, which gives no boxes."""

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
                 boxes: bool = False):
        self.model = model.eval().to(memory_format=order)
        self.images = torch.randn(batch, 3, SIDE, SIDE).to(memory_format=order)
        self.boxes = boxes

    @torch.no_grad()
    def __call__(self):
        if not self.boxes:
            return self.model(self.images)
        size = dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE))
        return self.model.predict(self.images, [DataSample(metainfo=size) for _ in self.images])


def measure(batch: int, rounds: int) -> list[Row]:
    torch.manual_seed(0)
    actions = {
        PLAIN: Prediction(plain_classifier(200), batch),
        f'{PLAIN}, channels last': Prediction(plain_classifier(200), batch, torch.channels_last),
        'CI-CAM, with boxes': Prediction(cicam(200), batch, boxes=True),
    }
    return compare(f'prediction, batch {batch}, an image', alternate(actions, rounds), per=batch)
