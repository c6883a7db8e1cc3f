"""docs/add_a_method.md is run as it stands: files are written, then the commands are typed."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'add_a_method.md').read_text()


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)


def test_page_runs(tmp_path):
    files = re.findall(r'`(lse/\w+\.py)`', PAGE)
    assert files == ['lse/lse_head.py', 'lse/lse_tiny_shapes.py', 'lse/test_lse_head.py']
    (tmp_path / 'lse').mkdir()
    for file, code in zip(files, blocks('python'), strict=True):
        (tmp_path / file).write_text(code)
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')  # a user types the commands in the clone
    env = os.environ | {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}

    first_epoch, _, unit_test = blocks('bash')
    for command in first_epoch, unit_test:
        # the package itself is on the path of a user, who has installed it
        command = command.replace('PYTHONPATH=lse', f'PYTHONPATH=lse:{ROOT}')
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, done.stdout
    assert '3 passed' in done.stdout

    scalars = [json.loads(line) for line in next(
        (tmp_path / 'lse' / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()]
    assert scalars[-1]['wsol/top1_cls'] > 100 / 6  # better than chance after an epoch
