"""The released test protocol on real images: two processes give what one gives."""
import json
import runpy
from pathlib import Path

import mmengine
import pytest
import torch

from cicam_mm.checkpoints.release import convert_release

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
CONFIG = """
_base_ = '{root}/configs/cicam_vgg16_cub_release.py'
model = dict(head=dict(num_classes=10))
data_preprocessor = dict(num_classes=10)
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root='{data}', indices={indices}))
test_evaluator = [
    dict(type='WSOLMetric', iou_thr=(.1, .3, .5)),
    dict(type='DumpResults', out_file_path='predictions.pkl'),
]
"""


@pytest.fixture
def test(shared, run_tool, tmp_path):
    """Runs tools/test.py with random weights of the release; gives metrics and predictions."""
    release = runpy.run_path(str(shared / 'parity' / 'release_state_dict.py'))
    net, pool = release['release_state_dict'](0, 10), release['release_pool'](0, 10)
    state, _ = convert_release(net, pool)
    checkpoint, config = tmp_path / 'converted.pth', tmp_path / 'cub10.py'
    torch.save(dict(meta={}, state_dict=state), checkpoint)
    # five images for two processes: one of them has to take one twice
    indices = list(range(3, 243, 56))
    config.write_text(CONFIG.format(root=ROOT, data=shared / 'data' / 'cub10', indices=indices))

    def test(name, *launcher):
        folder = tmp_path / name
        folder.mkdir()
        script = ('_torchrun.py', *launcher, TOOLS / 'test.py') if launcher else ('test.py', )
        process = run_tool.start(
            *script, config, checkpoint, '--out', 'metrics.json', '--launcher',
            'pytorch' if launcher else 'none', cwd=folder)
        output = process.communicate(timeout=600)[0]
        # gloo now and then aborts on leaving, so look at what was written instead
        assert (folder / 'metrics.json').is_file(), output
        metrics = json.loads((folder / 'metrics.json').read_text())
        return metrics, mmengine.load(folder / 'predictions.pkl')

    return test


def test_two_processes_are_one(test):
    metrics, predictions = test('one')
    metrics_of_two, predictions_of_two = test('two', '--standalone', '--nproc-per-node=2')
    assert metrics_of_two == metrics
    assert len(predictions_of_two) == len(predictions) == 5
    assert 0 < metrics['wsol/gt_known_loc@0.1'] and 0 < metrics['wsol/top5_cls']
    for one, two in zip(predictions, predictions_of_two, strict=True):
        assert one['img_path'] == two['img_path']
        assert torch.equal(one['top_labels'], two['top_labels'])
        assert torch.equal(one['pred_boxes'], two['pred_boxes'])
        torch.testing.assert_close(one['score_map'], two['score_map'])
