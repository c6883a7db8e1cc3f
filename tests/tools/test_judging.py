"""test.py --dump, judge.py and search_threshold.py on the demo set, inside this process."""
import csv
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from cicam_mm.localization import MAP_RULES

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/cicam_tiny_shapes.py'
loader = dict(
    batch_size=5, num_workers=0, persistent_workers=False, dataset=dict(num_images=12))
train_dataloader = val_dataloader = test_dataloader = loader
model = dict(head=dict(localizer=dict(num_lowest=3, theta=0.13)))
test_evaluator = [
    dict(type='WSOLMetric'),
    dict(type='MaxBoxAcc', interval=0.05),
    dict(type='PxAP', interval=0.05),
    dict(type='LocalizationErrors'),
]
"""


@pytest.fixture(scope='module')
def demo(run_tool, tmp_path_factory):
    """A folder with demo.py, the untrained model.pth, and what testing it leaves."""
    folder = tmp_path_factory.mktemp('demo')
    (folder / 'demo.py').write_text(CONFIG.format(root=ROOT))
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(folder / 'demo.py').model)
    torch.save(dict(meta={}, state_dict=model.state_dict()), folder / 'model.pth')
    run_tool('test.py', folder / 'demo.py', folder / 'model.pth', '--work-dir', folder / 'work',
             '--out', folder / 'metrics.json', '--dump', folder / 'predictions')
    return folder


@pytest.fixture(scope='module')
def search(run_tool, demo):
    """The folder a search leaves."""
    run_tool('search_threshold.py', demo / 'demo.py', demo / 'model.pth', '--step', '.25')
    return demo / 'threshold_search'


def test_metrics_hold_curves_and_their_best_points(demo):
    metrics = json.loads((demo / 'metrics.json').read_text())
    curves = metrics['curves']
    assert set(curves) == {'MaxBoxAcc', 'PxAP'}
    assert metrics['protocol']['images']['type'] == 'ConfoundedShapes'
    of_classes = metrics['per_class'].values()
    assert sum(found['images'] for found in of_classes) == 12
    assert sum(found['images'] * found['gt_known_loc'] for found in of_classes) == pytest.approx(
        12 * metrics['wsol/gt_known_loc'])
    for name in ('max_box_acc', 'max_box_acc_v2_iou30', 'max_box_acc_v2_iou70'):
        curve = curves['MaxBoxAcc'][name]
        best = curves['MaxBoxAcc']['thresholds'][curve.index(metrics[name])]
        assert metrics[name] == max(curve) and metrics[f'{name}_threshold'] == best
    assert len(curves['PxAP']['precision']) == len(curves['PxAP']['thresholds'])


def test_mere_weights_are_a_checkpoint(run_tool, demo):
    """Also for the EMAHook of the config, which looks for more."""
    torch.save(torch.load(demo / 'model.pth')['state_dict'], demo / 'mere.pth')
    run_tool('test.py', demo / 'demo.py', demo / 'mere.pth', '--work-dir', demo / 'work',
             '--out', demo / 'mere.json')
    assert (demo / 'mere.json').read_text() == (demo / 'metrics.json').read_text()


@pytest.mark.parametrize(('content', 'sentence'), [
    (lambda state: [1, 2], 'holds no weights (a dict of tensors by name)'),
    (lambda state: state | {'head.pool.pool': torch.zeros(6, 12, 12)},
     '1 misshapen (head.pool.pool: (6, 12, 12) instead of (6, 24, 24))'),
])
def test_checkpoints_that_do_not_fit(run_tool, demo, content, sentence):
    path, out = demo / 'misfit.pth', demo / 'misfit'
    torch.save(content(torch.load(demo / 'model.pth')['state_dict']), path)
    message = run_tool.error('search_threshold.py', demo / 'demo.py', path, '--out', out)
    assert str(path) in message and sentence in message
    assert not (out / 'search.json').exists()


def test_predictions_judged_again_give_the_same_numbers(run_tool, demo):
    run_tool('judge.py', demo / 'predictions', '--config', demo / 'demo.py', '--out',
             demo / 'again.json')
    assert (demo / 'again.json').read_text() == (demo / 'metrics.json').read_text()


def test_judging_by_another_metric(run_tool, demo, capsys):
    run_tool('judge.py', demo / 'predictions', '--metrics', 'LocalizationErrors', 'Accuracy')
    metrics = json.loads((demo / 'metrics.json').read_text())
    printed = capsys.readouterr().out
    assert printed.startswith('12 images\n')
    assert f'{metrics["localization_errors/more"]:.2f}' in printed
    assert f'accuracy/top1 {metrics["wsol/top1_cls"]:10.2f}'.split() == printed.split()[-2:]
    # a confusion matrix is no number to print, but goes to the file
    run_tool('judge.py', demo / 'predictions', '--metrics', 'MaxBoxAcc', 'ConfusionMatrix',
             '--out', demo / 'others.json')
    others, printed = json.loads((demo / 'others.json').read_text()), capsys.readouterr().out
    assert sum(map(sum, others['confusion_matrix/result'])) == 12
    threshold = others['max_box_acc_v2_iou30_threshold']  # by 0.001
    assert f'max_box_acc_v2_iou30_threshold {threshold:.3g}' in ' '.join(printed.split())


def test_judging_by_another_criterion_is_recorded(run_tool, demo):
    run_tool('judge.py', demo / 'predictions', '--config', demo / 'demo.py', '--cfg-options',
             'test_evaluator.0.iou_thr=0.3', '--out', demo / 'other.json')
    before, after = (json.loads((demo / f'{name}.json').read_text())['protocol']
                     for name in ('metrics', 'other'))
    assert before['criteria']['WSOLMetric'] == [dict(iou_thr=.5, strict=False)]
    assert after == before | dict(
        criteria=before['criteria'] | dict(WSOLMetric=[dict(iou_thr=.3, strict=False)]))


@pytest.mark.parametrize(('command', 'sentence'), [
    ('judge.py nowhere', 'nowhere holds no finished predictions'),
    ('judge.py', 'give either the folder of --dump or --maps FOLDER'),
    ('judge.py --maps DEMO', '--maps needs --config CONFIG'),
    ('judge.py DEMO/predictions --metrics WSOL',
     'the setting test_evaluator.0.type does not exist: there is no WSOL.'),
    ('judge.py DEMO/predictions --config no.py', 'cannot read the config no.py'),
    ('judge.py DEMO/predictions --config DEMO/demo.py --cfg-options test_evaluator.0.iou_th=.7',
     'the setting test_evaluator.0.iou_th does not exist: WSOLMetric has no iou_th; did you '),
    ('search_threshold.py DEMO/demo.py DEMO/model.pth --step 1.5',
     'the step of theta must be in (0, 1), not 1.5'),
    ('search_threshold.py DEMO/demo.py DEMO/model.pth --map-rules mean --cfg-options '
     'model.head.localizer.num_lowest=20',
     'num_lowest must be at least 1 and below the number of classes, 6, got 20'),
    ('search_threshold.py DEMO/demo.py DEMO/model.pth --cfg-options model.head.localizer=None',
     'has no localizer'),
])
def test_mistakes_end_in_one_sentence(run_tool, demo, command, sentence):
    assert sentence in run_tool.error(*command.replace('DEMO', str(demo)).split())


def test_search_leaves_curve_and_summary(demo, search):
    with open(search / 'curve.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ['map_rule', 'theta', 'top1_loc', 'top5_loc', 'gt_known_loc']
    assert [row['theta'] for row in rows[:5]] == ['0.0', '0.13', '0.25', '0.5', '0.75']
    rules = [*dict.fromkeys(row['map_rule'] for row in rows)]  # that of the config comes first
    assert rules[0] == 'quadratic' and sorted(rules) == sorted(MAP_RULES.module_dict)
    summary = json.loads((search / 'search.json').read_text())
    assert (summary['split'], summary['num_images']) == ('val', 12)
    assert summary['best']['gt_known_loc'] == max(float(row['gt_known_loc']) for row in rows)
    assert summary['configured']['theta'] == .13
    assert (search / 'curve.png').stat().st_size > 10_000


def test_testing_the_best_setting_gives_what_the_search_saw(run_tool, demo, search):
    summary = json.loads((search / 'search.json').read_text())
    own = Config.fromfile(demo / 'demo.py').model.head.localizer
    best = Config.fromfile(search / 'best.py')
    assert best.model.head.localizer == {
        **own, 'map_rule': summary['best']['map_rule'], 'theta': summary['best']['theta']}
    (demo / 'on_val.py').write_text(
        f"_base_ = '{search}/best.py'\ntest_dataloader = dict(dataset=dict(seed=1))\n")
    run_tool('test.py', demo / 'on_val.py', demo / 'model.pth', '--work-dir', demo / 'work',
             '--out', demo / 'best.json')
    tested = json.loads((demo / 'best.json').read_text())
    for name in ('top1_loc', 'top5_loc', 'gt_known_loc'):
        assert tested[f'wsol/{name}'] == summary['best'][name]


def test_a_rule_with_options_is_found_and_taken_again(run_tool, demo, capsys):
    (demo / 'topk.py').write_text(
        "_base_ = 'demo.py'\n"
        "model = dict(head=dict(localizer=dict("
        "map_rule=dict(_delete_=True, type='topk_mean', k=2))))\n")
    out = demo / 'topk'
    run_tool('search_threshold.py', demo / 'topk.py', demo / 'model.pth', '--out', out,
             '--map-rules', 'topk_mean', '--step', '.5')
    assert 'topk_mean(k=2)' in capsys.readouterr().out
    found = json.loads((out / 'search.json').read_text())
    assert found['configured']['map_rule'] == dict(type='topk_mean', k=2)
    found['best'] = found['configured']
    (out / 'search.json').write_text(json.dumps(found))
    for config, options in (out / 'best.py', ()), (demo / 'demo.py', (
            '--settings', out / 'search.json')):
        run_tool('test.py', config, demo / 'model.pth', '--work-dir', demo / 'work', '--out',
                 demo / 'topk.json', *options)
    localizer = json.loads((demo / 'topk.json').read_text())['protocol']['localizer']
    assert localizer['map_rule'] == dict(type='topk_mean', k=2)


def test_search_on_test_images_is_refused_and_on_demand_reported(run_tool, demo, capsys):
    (demo / 'no_val.py').write_text(
        "_base_ = 'demo.py'\nval_dataloader = dict(dataset=dict(seed=0))\n")
    args = ('search_threshold.py', demo / 'no_val.py', demo / 'model.pth', '--out', demo / 'test',
            '--map-rules', 'mean', '--step', '.5')
    message = run_tool.error(*args)
    assert '12 of the 12 validation images are test images' in message
    assert '--split test' in message
    assert not (demo / 'test').exists()

    run_tool(*args, '--split', 'test')
    assert 'on 12 TEST images' in capsys.readouterr().out
    assert json.loads((demo / 'test' / 'search.json').read_text())['split'] == 'test'
    assert 'TEST images' in (demo / 'test' / 'best.py').read_text()
