import json

import pytest
from mmengine.config import Config

from cicam_mm.sweep.runs import is_done, read_protocol, read_result
from cicam_mm.utils.errors import UserError


def test_metrics_that_are_numbers(tmp_path):
    (tmp_path / 'metrics.json').write_text('{"top1_loc": 60.5, "protocol": {}, "images": 3}')
    assert read_result(tmp_path) == {'top1_loc': 60.5, 'images': 3}


@pytest.mark.parametrize('content, sentence', [
    (b'{"top1_loc": 60.5, "pro', r'metrics\.json is damaged .*; create it again'),
    (b'[1]', r'metrics\.json is damaged .it holds no mapping.'),
    (b'{"top1_loc": 6\xff', r'metrics\.json is not UTF-8 text'),
    (bytes(40), r'metrics\.json is damaged: it contains zero bytes'),
])
def test_damaged_metrics_are_named(tmp_path, content, sentence):
    (tmp_path / 'metrics.json').write_bytes(content)
    with pytest.raises(UserError, match=sentence) as error:
        read_result(tmp_path)
    assert str(error.value).count(str(tmp_path)) == 1


def test_protocol_that_is_none_is_empty(tmp_path):
    for content, expected in ({'protocol': {'views': 'one'}}, {'views': 'one'}), (
            {'protocol': 3}, {}), ({}, {}):
        (tmp_path / 'metrics.json').write_text(json.dumps(content))
        assert read_protocol(tmp_path) == expected


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / 'metrics.json').write_text('{}')
    (tmp_path / 'settings.json').write_bytes(b'{"model": "\xff"}')
    with pytest.raises(UserError, match=r'settings\.json is not UTF-8 text'):
        is_done(Config(dict(work_dir=str(tmp_path))))


@pytest.mark.parametrize('config, same', [
    (dict(model=dict(theta=float('nan'), depth=11), seed=0), True),
    (dict(seed=0, model=dict(depth=11, theta=float('nan'))), True),
    (dict(seed=0, model=dict(depth=13, theta=float('nan'))), False),
])
def test_a_run_goes_on_whatever_the_order_of_its_settings(tmp_path, config, same):
    (tmp_path / 'metrics.json').write_text('{}')
    (tmp_path / 'settings.json').write_text(
        '{"search_theta": false, "seed": 0, "model": {"depth": 11, "theta": NaN}, '
        '"work_dir": "."}')
    cfg = Config(dict(config, work_dir=str(tmp_path)))
    if same:
        assert is_done(cfg)
    else:
        with pytest.raises(UserError, match='holds a run with other settings'):
            is_done(cfg)


@pytest.mark.parametrize('change, is_other', [
    (dict(test_evaluator=dict(iou_thr=.3), val_dataloader=dict(seed=7)), False),
    (dict(seed=1), True)])
@pytest.mark.parametrize('tested', [False, True])
def test_the_test_of_a_trained_run_may_change(tmp_path, change, is_other, tested):
    cfg = dict(work_dir='.', seed=0, test_evaluator=dict(iou_thr=.5), val_dataloader=dict(seed=0))
    (tmp_path / 'settings.json').write_text(json.dumps(dict(cfg, search_theta=True)))
    (tmp_path / 'epoch_1.pth').touch()
    if tested:
        (tmp_path / 'metrics.json').write_text('{}')
    cfg = Config(dict(cfg, **change) | dict(work_dir=str(tmp_path)))
    if is_other or tested:
        with pytest.raises(UserError, match='holds a run with other settings'):
            is_done(cfg)
    else:
        assert not is_done(cfg)


def test_cut_settings_are_other_settings(tmp_path):
    (tmp_path / 'metrics.json').write_text('{}')
    (tmp_path / 'settings.json').write_text('{"work_dir": ".", "sea')
    with pytest.raises(UserError, match='holds a run with other settings'):
        is_done(Config(dict(work_dir=str(tmp_path))))
