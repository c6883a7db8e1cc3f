"""The commands of docs/data_sets.md make the lists of the ten classes from those of full CUB."""
import os
import re
import subprocess
from pathlib import Path

from cicam_mm.datasets import CUBLocalization

PAGE = (Path(__file__).parents[2] / 'docs' / 'data_sets.md').read_text()
#: What full CUB has behind the last of the ten classes, as it stands there.
NEXT = {'classes': '11 011.Rusty_Blackbird', 'image_class_labels': '544 11',
        'images': '544 011.Rusty_Blackbird/x.jpg', 'train_test_split': '544 1',
        'bounding_boxes': '544 1.0 2.0 3.0 4.0'}


def test_ten_classes(shared, tmp_path):
    ten, full = shared / 'data' / 'cub10', tmp_path / 'data' / 'CUB_200_2011'
    full.mkdir(parents=True)
    for name, line in NEXT.items():
        (full / f'{name}.txt').write_text((ten / f'{name}.txt').read_text() + line + '\n')
    (full / 'images').symlink_to(ten / 'images')

    section = PAGE[PAGE.index('## Ten classes of CUB'):]
    commands = re.search(r'^```bash\n(.*?)^```', section, re.MULTILINE | re.DOTALL)[1]
    subprocess.run(['bash', '-euc', commands], cwd=tmp_path, check=True)

    made = tmp_path / 'data' / 'cub10'
    assert {path.name for path in made.iterdir()} == {'images', *(f'{name}.txt' for name in NEXT)}
    for name in NEXT:
        assert (made / f'{name}.txt').read_bytes() == (ten / f'{name}.txt').read_bytes()
    for split, size in ('train', 300), ('test', 243):
        dataset = CUBLocalization(data_root=str(made), split=split)
        assert len(dataset) == size
        assert os.path.isfile(dataset[0]['img_path'])
    assert all(name in PAGE for name in dataset.metainfo['classes'])
