"""Memory at the start and at the end of a long inference."""

import multiprocessing
import os
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.batch import Options, localize_files

from .models import CONFIGS
from .timing import Row

BATCH, START, SIDE, FILES = 64, 10, 32, 100


def measure(images: int) -> list[Row]:
    """Memory of the process and of the worker, after some batches and after the last one."""
    cfg = Config.fromfile(CONFIGS / 'cicam_tiny_shapes.py')
    cfg.model.backbone.update(base_channels=4, init_cfg=None)
    cfg.model.head.in_channels = 16
    inferencer = WSOLInferencer(cfg, False, 'cpu')
    watched = {START: f'after {START} batches', -(-images // BATCH): f'after {images:,} images'}
    found, predict, calls = {}, inferencer.predict, iter(range(1, images + 1))
    others = multiprocessing.active_children()

    def watching(data):
        samples = predict(data)
        if when := watched.get(next(calls)):
            worker, = {*multiprocessing.active_children()}.difference(others)
            found[when] = dict(process=_megabytes(os.getpid()), worker=_megabytes(worker.pid))
        return samples

    inferencer.predict = watching
    with tempfile.TemporaryDirectory() as folder:
        with redirect_stdout(StringIO()):
            localize_files(inferencer, [_write_list(Path(folder), images)], Path(folder, 'out'),
                           Options(batch_size=BATCH, pictures=0), workers=1)
    return [Row(f'memory of inference, images of {SIDE} x {SIDE} pixels', f'{process}, {when}',
                of_process[process] / found[watched[START]][process], of_process[process], 'MB')
            for process in ('process', 'worker') for when, of_process in found.items()]


def _write_list(folder, images):
    noise, paths = np.random.default_rng(0), []
    for number in range(FILES):
        paths.append(folder / f'{number}.png')
        cv2.imwrite(str(paths[-1]), noise.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    listed = folder / 'list.txt'
    listed.write_text(''.join(f'{paths[number % FILES]}\n' for number in range(images)))
    return str(listed)


def _megabytes(pid):
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6
