import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cicam_mm.sweep.finished_run import FinishedRun
from cicam_mm.sweep.report import build_page, judge_images
from cicam_mm.visualization.curves import COLORS

CONFIGS = Path(__file__).parents[2] / 'configs'


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
    sample = DataSample(metainfo=dict(sample_idx=0)).set_pred_label(0).set_gt_label(0)
    sample.set_data(dict(pred_box=torch.tensor([0, 0, 9, 9]), gt_bboxes=np.array([[0., 0, 9, 9]])))
    return judge_images([sample])


def test_data_that_are_gone_leave_a_note(make_run):
    page = build_page({'a': make_run('cicam_vgg16_cub')}, {'a': judged()}, trusts_configs=True)
    assert 'a: no pictures, for' in page and 'a: no mean images, for' in page
    assert 'Less than two entries were logged.' in page
    assert page.count('data:image/jpeg') == 1  # the pool sheet, without mean images
    assert 'tested in different ways' not in page


def test_views_of_the_protocol(make_run):
    names = ('cicam_vgg16_cub', 'cicam_vgg16_cub_release')
    one, two = (build_page({'a': make_run(name)}, {'a': judged()}) for name in names)
    assert '2 views, the last one localizes' in two and '2 views' not in one
    assert '<td class="text">whole image: squashed to 224 x 224</td>' in one


def test_two_protocols_are_warned_of(make_run):
    runs = {name: make_run(name) for name in ('cicam_vgg16_cub', 'cicam_vgg16_cub_center-crop')}
    page = build_page(runs, {name: 'none were saved <here>' for name in runs})
    assert 'These runs were tested in different ways' in page
    assert 'cicam_vgg16_cub: none were saved &lt;here&gt;' in page
    assert 'Best and worst' not in page


def test_a_map_rule_has_one_color(make_run):
    """Whichever rules were searched: quadratic is the third that there is."""
    folder = make_run('cicam_vgg16_cub').folder
    (folder / 'threshold_search').mkdir()
    (folder / 'threshold_search' / 'curve.csv').write_text(
        'map_rule,theta,top1_loc,top5_loc,gt_known_loc\nquadratic,0,50,60,70\nquadratic,0.1,1,2,3\n')
    page = build_page({'a': FinishedRun(folder)}, {'a': judged()})
    charts = [b64decode(svg).decode() for svg in re.findall(r'svg\+xml;base64,([\w+/=]+)', page)]
    for chart in charts[:2]:
        assert [color for color in COLORS if color in chart] == [COLORS[2]]


def test_names_are_text_and_never_markup(make_run):
    name = '<img src=x onerror="alert(1)">'
    run = make_run('cicam_vgg16_cub')
    page = build_page({name: run}, {name: judged()}, title=name + '{{1}}')
    assert '<img src=x' not in page and '{{1}}' in page
    # twice in the head, then in columns, notes and headings
    assert page.count('&lt;img src=x onerror=&#34;alert(1)&#34;&gt;') > 5
