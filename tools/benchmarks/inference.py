"""From JPEG files to files of boxes, against the forward pass of the same model."""

import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from mmengine.config import Config

from cicam_mm.apis import WSOLInferencer
from cicam_mm.inference import Options, localize_files

from .data import PHOTOS, SIZES, WORKERS, write_photos
from .models import SIDE
from .timing import Row, alternate, compare

CONFIG = Path(__file__).parents[2] / 'configs' / 'cicam_vgg16_cub.py'
BATCHES = 6


def measure(batch: int, rounds: int) -> list[Row]:
    """Images a second of CI-CAM on VGG16, without pictures: everything, and the network alone."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    inferencer = WSOLInferencer(cfg, False)
    inputs = torch.randn(batch, 3, SIDE, SIDE)
    count = batch * BATCHES

    @torch.no_grad()
    def forward():
        for _ in range(BATCHES):
            inferencer.model(inputs)

    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder), SIZES['500 x 375'])
        paths = (photos * (count // PHOTOS + 1))[:count]

        def from_photos():
            with redirect_stdout(StringIO()):
                localize_files(inferencer, paths, Path(folder, 'out'),
                               Options(batch_size=batch, pictures=0), WORKERS)

        seconds = alternate({'forward passes alone': forward,
                             f'from JPEGs to files, {WORKERS} workers': from_photos},
                            max(rounds // 3, 1))
    slow = compare('', seconds)
    return [Row(f'inference, batch {batch}, images of 500 x 375 pixels', row.variant,
                1 / row.ratio, 1000 * count / row.figure, 'images/s') for row in slow]
