"""Inference whose ranks are killed, and what a merge of several ranks gives."""
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis import batch as result_files
from cicam_mm.apis.batch import Options, localize_files, read_part
from cicam_mm.utils.distributed import join_ranks

IMAGES, BATCH = 250, 8


def localize(folder, out, killed_at=None, killed_in_merge=None):
    """One rank, killed once ``out`` has so many bytes of parts, or so many images are merged."""
    join_ranks('pytorch' if int(os.environ['WORLD_SIZE']) > 1 else 'none')
    if killed_at is not None:
        threading.Thread(target=_kill, args=(out, killed_at), daemon=True).start()
    if killed_in_merge is not None:
        result_files.merge_parts = _killing(result_files.merge_parts, killed_in_merge)
    inferencer = WSOLInferencer(folder / 'config.py', str(folder / 'model.pth'))
    localize_files(inferencer, [str(folder / 'images'), str(folder / 'list.txt')], out,
                   Options(batch_size=BATCH, pictures=10), workers=1, resume=True)
    return True


def _kill(out, size):
    while sum(path.stat().st_size for path in out.glob('unfinished/rank*.jsonl')) < size:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGKILL)


def _killing(merge, after):
    def merge_and_die(paths, total):
        for number, image in enumerate(merge(paths, total)):
            if number == after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield image
    return merge_and_die


@pytest.fixture(scope='module')
def folder(small_demo, save_untrained, tmp_path_factory):
    """250 images, among them some that cannot be read and one three times, and a model."""
    folder, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    (folder / 'images').mkdir()
    for number in range(IMAGES - 4):
        blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(blocks.repeat(8, 0).repeat(8 + number % 5, 1)).save(
            folder / 'images' / f'{number}.png')
    for number in (17, 200, 201):
        (folder / 'images' / f'{number}.png').write_text('no image')
    again = f'{folder}/images/5.png\n' * 2
    (folder / 'list.txt').write_text(f'{again}lost.png\n{folder}/images/17.png\n')
    cfg = small_demo()
    cfg.dump(folder / 'config.py')
    save_untrained(cfg, folder / 'model.pth')
    return folder


@pytest.fixture(scope='module')
def undisturbed(run_ranks, folder, tmp_path_factory):
    """Files of one process."""
    out = tmp_path_factory.mktemp('undisturbed')
    assert run_ranks(localize, 1, folder, out) == [True]
    found = content(out)
    assert len(found) == 6 + 10 and found['left_out.json'].count(b'image_id') == 5
    assert found['predictions.csv'].count(b'\n') == 1 + IMAGES - 5
    return found


def content(out):
    return {str(path.relative_to(out)): path.read_bytes()
            for path in out.rglob('*') if path.is_file()}


def done(out):
    return [number for part in out.glob('unfinished/rank*.jsonl') for number, _ in read_part(part)]


def test_killed_at_three_moments_and_resumed(run_ranks, folder, undisturbed, tmp_path):
    """Whatever the ranks, two or three, were doing; then once more as the results are merged."""
    moment = random.Random(0)
    share = 0
    for world_size in 2, 3, 2:
        share += moment.uniform(0.1, 0.3)
        size = int(share * 130 * IMAGES)
        assert run_ranks(localize, world_size, folder, tmp_path, size, timeout=60) == [
            None] * world_size
        numbers = done(tmp_path)
        assert 0 < len(numbers) == len(set(numbers)) < IMAGES / BATCH
    assert not (tmp_path / 'predictions.json').exists()

    assert run_ranks(localize, 2, folder, tmp_path, None, IMAGES // 2, timeout=60)[0] is None
    numbers = done(tmp_path)
    assert sorted(numbers) == [*range(-(-IMAGES // BATCH))]
    assert run_ranks(localize, 3, folder, tmp_path) == [True] * 3
    assert content(tmp_path) == undisturbed
