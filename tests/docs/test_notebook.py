"""The notebook runs, in a folder with its photos and without the network."""
import json
import math
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[2] / 'docs'


def test_cells_run_in_order(tmp_path, monkeypatch):
    notebook = json.loads((DOCS / 'from_photo_to_detector.ipynb').read_text())
    cells = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
    assert not any(cell['outputs'] for cell in cells)
    (tmp_path / 'photos').symlink_to(DOCS / 'photos')
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells:
        exec(''.join(cell['source']), names)
    plt.close(names['figure'])
    found = {names['files'][each['image_id']]: names['names'][each['category_id']]
             for each in names['coco']['annotations']}
    assert len(found) == 4 and found['photos/cat.jpg'] == 'Egyptian cat'
    x0, y0, x1, y1 = names['target']['boxes'][0].tolist()
    assert [x0, y0, x1, y1] == names['results'][0]['pred_box']
    assert names['target']['labels'].max() <= len(names['labels'])
    assert all(math.isfinite(loss) for loss in names['losses'].values())
