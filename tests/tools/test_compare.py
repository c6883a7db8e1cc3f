"""compare.py on untrained models of the demo set."""

from pathlib import Path

import mmcv
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

ROOT = Path(__file__).parents[2]


def write_method(folder, stem):
    """A config with ten test images and the checkpoint of an untrained model."""
    cfg = Config.fromfile(next((ROOT / 'configs').rglob(f'{stem}_tiny_shapes.py')))
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.num_images = 10
    cfg.train_dataloader.dataset.num_images = 12
    cfg.dump(folder / f'{stem}.py')
    model = MODELS.build(dict(cfg.model, _scope_='mmpretrain'))
    torch.nn.init.normal_(model.head.fc.weight)
    if stem == 'cicam':
        model.head.pool.pool[:3] = torch.eye(24)
    torch.save(dict(meta={}, state_dict=model.state_dict()), folder / f'{stem}.pth')
    return f'{folder / stem}.py:{folder / stem}.pth'


@pytest.fixture(scope='module')
def methods(tmp_path_factory):
    folder = tmp_path_factory.mktemp('methods')
    torch.manual_seed(0)
    return [write_method(folder, stem) for stem in ('cam', 'cicam')]


@pytest.fixture
def compare(run_tool, tmp_path):
    def compare(*args):
        run_tool('compare.py', *args, '--out', tmp_path / 'out')
        return {path.name: mmcv.imread(path) for path in (tmp_path / 'out').glob('*.png')}

    return compare


def test_figures_of_all_kinds(compare, methods, capsys):
    cam, cicam = methods
    figures = compare('--chosen', '3,1', '--random', 1, '--improved', 2, '--worst', 2, '--pool',
                      f'CAM={cam}', f'CI-CAM={cicam}', '--classes', '0,4', '--width', 300)
    assert 'CAM has no context pool.' in capsys.readouterr().out
    # an untrained model may gain on fewer images than asked for
    assert {'chosen.png', 'random.png', 'worst.png', 'pool_CI-CAM.png'} <= set(figures)
    assert all(figure.shape[1] == 300 for figure in figures.values())
    one, two = (figures[f'{name}.png'].shape[0] for name in ('random', 'chosen'))
    assert two - one == (300 - 3) // 3 - 3 + 13 + 3  # a panel, its caption and a gap
    assert figures['worst.png'].shape[0] == two


@pytest.mark.parametrize(('command', 'sentence'), [
    ('no.py:no.pth', 'cannot read the config no.py'),
    ('x=CAM --chosen 10', 'there is no image 10; the test set of x has 10'),
    ('x=CAM --improved 1', 'name at least two'),
    ('x=CAM x=CAM', "two methods are named 'x'; put NAME= in front of one"),
    ('y=CICAM --pool --classes 6 --random 1', 'there is no class 6; y has 6'),
])
def test_mistakes_end_in_one_sentence(run_tool, methods, tmp_path, command, sentence):
    cam, cicam = methods
    words = command.replace('CICAM', cicam).replace('CAM', cam).split()
    assert sentence in run_tool.error('compare.py', *words, '--out', tmp_path)


def test_other_test_images_are_an_error(compare, methods, tmp_path):
    config, checkpoint = methods[0].split(':')
    other = Config.fromfile(config)
    other.test_dataloader.dataset.seed = 1
    other.dump(tmp_path / 'other.py')
    with pytest.raises(SystemExit, match='a and b have different test images'):
        compare(f'a={methods[0]}', f'b={tmp_path / "other.py"}:{checkpoint}')
