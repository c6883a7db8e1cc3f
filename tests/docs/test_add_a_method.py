"""docs/add_a_method.md is followed as it stands: its files are written, its commands run."""
import json
import re
import runpy
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[2] / 'docs' / 'add_a_method.md').read_text()


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)


def test_page_runs(tmp_path, run_tool, monkeypatch):
    files = re.findall(r'`(lse/\w+\.py)`', PAGE)
    assert files == ['lse/lse_head.py', 'lse/lse_tiny_shapes.py', 'lse/test_lse_head.py']
    (tmp_path / 'lse').mkdir()
    for file, code in zip(files, blocks('python'), strict=True):
        (tmp_path / file).write_text(code)
    monkeypatch.chdir(tmp_path)

    first_epoch, _, unit_test = (
        shlex.split(block.replace('\\\n', ' ')) for block in blocks('bash'))
    assert first_epoch[:3] == ['PYTHONPATH=lse', 'python', 'tools/train.py']
    assert unit_test == ['PYTHONPATH=lse', 'python', '-m', 'pytest', files[2]]
    monkeypatch.syspath_prepend('lse')
    run_tool('train.py', *first_epoch[3:], *(
        f'{loader}.{setting}' for loader, number in (('train_dataloader', 640),
                                                     ('val_dataloader', 100))
        for setting in (f'dataset.num_images={number}', 'num_workers=0',
                        'persistent_workers=False')))
    scalars = [json.loads(line) for line in next(
        Path('lse/run').glob('*/vis_data/scalars.json')).read_text().splitlines()]
    assert scalars[-1]['wsol/top1_cls'] > 100 / 6  # better than chance after a third of an epoch

    tests = {name: test for name, test in runpy.run_path(files[2]).items()
             if name.startswith('test_')}
    assert len(tests) == 3
    for test in tests.values():
        test()
