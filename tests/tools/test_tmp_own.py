"""The commands of docs/own_photos.md, on a folder of squares with one list of boxes."""
import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / 'docs' / 'own_photos.md').read_text()
COLOURS = dict(black=(20, 20, 20), blue=(250, 60, 10), red=(10, 10, 240))
#: One epoch in place of thirty, with larger steps.
FASTER = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_dataloader.batch_size=2',
          'optim_wrapper.optimizer.lr=0.01']


def commands():
    """Words behind ``cicam_mm`` of each command of the page."""
    for block in re.findall(r'^```bash\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ['cicam_mm']:
                yield words[1:]


def read_json(path):
    return json.loads(Path(path).read_text())


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """Ten pictures of each class, a square of its colour on grey noise; one of each in photos."""
    monkeypatch.chdir(tmp_path)
    random, rows = np.random.default_rng(0), []
    for name, colour in COLOURS.items():
        for i in range(10):
            image = random.integers(120, 200, (64, 80, 3), dtype=np.uint8)
            (x, y), side = random.integers(0, 24, 2), random.integers(32, 40)
            image[y:y + side, x:x + side] = colour
            for path in [f'birds/{name}/{i}.png'] + [f'photos/{name}.png'] * (i == 9):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(path, image)
            if i % 5 in (0, 1):  # of the splits val and test; training needs no box
                rows.append(f'{name}/{i}.png,{x},{y},{x + side},{y + side}')
    Path('birds/boxes.csv').write_text('\n'.join(['path,x0,y0,x1,y1', *rows]))


def test_page_runs(birds, run_tool):
    import os
    real = run_tool
    def cpu():
        x = os.times(); return sum(x[:4])
    class Timed:
        def __call__(self, name, *a):
            b = cpu(); real(name, *a)
            print(f'TIME {name} {cpu()-b:.1f}', file=open('/tmp/own_times.txt','a'), flush=True)
    run_tool = Timed()
    start, new, train, search, test, infer, app = commands()
    assert app[0] == 'app'  # not started here

    for tool, *words in start, new, [*train, *FASTER], search, test, infer:
        run_tool(f'{tool}.py', *words)

    assert len(list(Path('inferred/pictures').iterdir())) == 3
    found = read_json('work_dirs/birds/threshold_search/search.json')
    assert found['num_images'] == 6  # a fifth of each class
    assert found['best']['gt_known_loc'] >= found['configured']['gt_known_loc']

    metrics = read_json('metrics.json')
    assert metrics['protocol']['num_images'] == 6
    for name in 'map_rule', 'theta':
        assert metrics['protocol']['localizer'][name] == found['best'][name]
    assert metrics['wsol/top1_cls'] >= 50  # chance is a third
    assert metrics['wsol/gt_known_loc'] >= metrics['wsol/top1_loc']
    assert [row['images'] for row in metrics['per_class'].values()] == [2, 2, 2]

    coco = read_json('mine/annotations.json')
    assert [category['name'] for category in coco['categories']] == list(COLOURS)
    assert len(coco['annotations']) == 3
    for annotation in coco['annotations']:
        x, y, width, height = annotation['bbox']
        assert 0 <= x < x + width <= 80 and 0 <= y < y + height <= 64

    run_tool('compare.py', 'CI-CAM=work_dirs/birds', '--random', 2, '--pool')
    assert {path.name for path in Path('compared').iterdir()} == {'random.png', 'pool_CI-CAM.png'}
    run_tool('report.py', 'work_dirs/birds', '--trust-configs')
    assert 'FolderLocalization' in Path('report.html').read_text()

    config, script = re.findall(r'^```python\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    Path('birds_watched.py').write_text(
        config.replace('val_interval', 'max_epochs=1, val_interval'))
    b = cpu(); exec(script, {}); print(f'TIME script {cpu()-b:.1f}', file=open('/tmp/own_times.txt','a'))
    work_dir = Path('work_dirs/birds_seed1')
    assert (work_dir / 'best_wsol_gt_known_loc_epoch_1.pth').is_file()
    assert list(work_dir.rglob('events.out.tfevents.*'))
