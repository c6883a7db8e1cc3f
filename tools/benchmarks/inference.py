"""Inference from JPEG files to files of boxes, against the forward passes alone."""

import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch

from cicam_mm.apis.batch import Options, localize_files

from .data import PHOTOS, SIZES, WORKERS, write_photos
from .models import SIDE, cicam_inferencer
from .timing import Row, alternate, compare_rates

BATCHES = 6


def measure(batch: int, rounds: int) -> list[Row]:
    """Images a second of CI-CAM on VGG16, without pictures: everything, and the network alone."""
    inferencer = cicam_inferencer()
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
    return compare_rates(
        f'inference, batch {batch}, images of 500 x 375 pixels', seconds, count)
