import re
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cicam_mm.sweep.finished_run import FinishedRun
from cicam_mm.sweep.report import build_page, judge_images, line_chart
from cicam_mm.visualization.curves import COLORS

CONFIGS = Path(__file__).parents[2] / 'configs'


def svg_of(image):
    return b64decode(image.source.partition(',')[2]).decode()


def test_charts():
    """Lines keep their colours, and equal charts are equal."""
    lines = {'a': [], 'b': [(0, 2), (1, 3)]}
    svg = svg_of(line_chart(lines, 'epoch', 'loss & more'))
    ElementTree.fromstring(svg)
    assert COLORS[1] in svg and COLORS[0] not in svg
    assert svg == svg_of(line_chart(lines, 'epoch', 'loss & more'))


def make_sample(width, label=0):
    """A box which covers so many of the 100 columns of the ground truth."""
    sample = DataSample().set_pred_label(0).set_gt_label(label)
    sample.set_data(dict(pred_box=torch.tensor([0, 0, width - 1, 99]),
                         gt_bboxes=np.array([[0., 0, 99, 99]])))
    return sample


def test_shares_and_extremes():
    samples = [make_sample(90), make_sample(20), make_sample(60), make_sample(100, label=1)]
    judged = judge_images(samples, count=1)
    assert judged.error_kinds == dict(classification_error=25, correct=50, multi_instance=0,
                                      part=25, more=0, others=0)
    assert judged.best == [samples[3]] and judged.worst == [samples[1]]
    assert judged.confusion.tolist() == [[3, 0], [1, 0]] and judged.hits.tolist() == [2, 0]


@pytest.mark.parametrize('number, best, worst', [(100, [100, 99], [1, 2]), (3, [3, 2], [1])])
def test_best_and_worst_of_many_or_few_images(number, best, worst):
    widths = np.random.default_rng(0).permutation(np.arange(1, number + 1)).tolist()
    judged = judge_images((make_sample(width) for width in widths), count=2)
    assert [int(sample.pred_box[2]) + 1 for sample in judged.best] == best
    assert [int(sample.pred_box[2]) + 1 for sample in judged.worst] == worst


def test_nothing_to_judge():
    with pytest.raises(ValueError, match='no predictions'):
        judge_images([])
    sample = make_sample(9)
    del sample.gt_bboxes
    with pytest.raises(ValueError, match="There is no ground-truth box"):
        judge_images([sample])


@pytest.fixture
def make_run(tmp_path):
    """A run of a config that left its last checkpoint, whose data are not on this machine."""

    def make_run(name):
        cfg = Config.fromfile(CONFIGS / f'{name}.py')
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = 'nowhere'
        (tmp_path / name).mkdir()
        cfg.dump(tmp_path / name / f'{name}.py')
        state = {'head.pool.pool': torch.eye(14).repeat(2, 1, 1)}
        torch.save(dict(state_dict=state), tmp_path / name / 'epoch_1.pth')
        return FinishedRun(tmp_path / name)

    return make_run


def judged():
    return judge_images([make_sample(90), make_sample(90, label=1)], classes=('duck', 'grebe'))


def test_data_that_are_gone_leave_a_note(make_run):
    """And the name of a run is text, never markup."""
    name = '<img src=x onerror="alert(1)">'
    page = build_page({name: make_run('cicam_vgg16_cub')}, {name: judged()}, title=name + '{{1}}',
                      trusts_configs=True)
    shown = '&lt;img src=x onerror=&#34;alert(1)&#34;&gt;'
    assert f'{shown}: no pictures, for' in page and f'{shown}: no mean images, for' in page
    assert '<img src=x' not in page and '{{1}}' in page
    assert 'Fewer than two entries were logged.' in page
    assert page.count('data:image/jpeg') == 1  # the pool sheet, without mean images
    assert 'tested in different ways' not in page
    # grebes are all taken for ducks
    assert re.search(r'grebe</th><td>1</td><td>0.0</td><td>0.0</td><td>duck \(1\)</td>', page)
    assert re.search(r'duck</th><td>1</td><td>100.0</td><td>100.0</td><td>–</td>', page)


def test_two_protocols_are_warned_of(make_run):
    runs = {name: make_run(name) for name in ('cicam_vgg16_cub', 'cicam_vgg16_cub_center-crop')}
    page = build_page(runs, {name: 'none were saved <here>' for name in runs})
    assert 'These runs were tested in different ways' in page
    assert '<td class="text">Resize(scale=[224, 224])</td>' in page
    assert 'cicam_vgg16_cub: none were saved &lt;here&gt;' in page
    assert 'Best and worst' not in page
