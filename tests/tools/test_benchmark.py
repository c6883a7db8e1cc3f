import json
import mmap
import time

import numpy as np
import pytest
from benchmarks import long_run, methods, records, timing
from benchmarks.timing import Row


def test_actions_take_turns():
    turns = []
    seconds = timing.alternate({'a': lambda: turns.append('a'), 'b': lambda: turns.append('b')},
                               rounds=2)
    assert turns[:2] == ['a', 'b']  # for warming up
    assert {name: len(times) for name, times in seconds.items()} == {'a': 2, 'b': 2}


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(timing.torch, 'get_num_threads', lambda: 2)


def test_disturbed_turns_are_repeated(monkeypatch, two_threads):
    """Others take a second in each of the first two turns."""
    clock, turns = iter([0, 1, 1, 2, 2, 2]), []
    monkeypatch.setattr(timing, '_processor_seconds_of_others', lambda: next(clock))
    seconds = timing.alternate({'a': lambda: turns.append('a')}, rounds=1, warmup=0)
    assert len(turns) == 3 and len(seconds['a']) == 1


def test_a_machine_that_is_never_quiet_is_measured_all_the_same(monkeypatch, two_threads):
    clock, turns = iter(range(100)), []
    monkeypatch.setattr(timing, '_processor_seconds_of_others', lambda: next(clock))
    timing.alternate({'a': lambda: turns.append('a')}, rounds=1, warmup=0)
    assert len(turns) == timing.ATTEMPTS


def test_one_thread_is_not_charged_for_the_time_of_others():
    seconds, = timing.alternate({'a': lambda: time.sleep(0.2)}, rounds=1, warmup=0)['a']
    assert seconds < 0.1


def test_ratios_are_of_pairs():
    """A machine that becomes four times slower half-way changes no ratio."""
    first, second = timing.compare('x', {'one': [1., 4., 4.], 'two': [1.5, 6., 6.]}, per=2)
    assert (first.ratio, second.ratio) == (1, 1.5)
    assert (first.figure, second.figure, second.unit) == (2000, 3000, 'ms')


def test_rates_are_higher_for_less_time():
    first, second = timing.compare_rates('x', {'one': [1., 4., 4.], 'two': [2., 8., 8.]}, count=8)
    assert (first.ratio, second.ratio) == (1, .5)
    assert (first.figure, second.figure, second.unit) == (2, 1, 'images/s')


@pytest.mark.parametrize('leaked', [0, 50])
def test_memory_of_a_long_run(monkeypatch, leaked):
    """Growth of either process shows: here that of one which keeps so many MB of each batch."""
    kept = []

    class Leaking(long_run.WSOLInferencer):

        def predict(self, *args):
            if leaked:  # new pages, where NumPy might get some that earlier tests have left
                kept.append(mmap.mmap(-1, leaked * 10**6))
                np.frombuffer(kept[-1], np.uint8).fill(1)
            return super().predict(*args)

    monkeypatch.setattr(long_run, 'WSOLInferencer', Leaking)
    monkeypatch.setattr(long_run, 'BATCH', 2)
    monkeypatch.setattr(long_run, 'START', 2)
    rows = long_run.measure(7)
    assert [row.variant for row in rows] == [
        'process, after 2 batches', 'process, after 7 images', 'worker, after 2 batches',
        'worker, after 7 images']
    for start, end in zip(rows[::2], rows[1::2], strict=True):
        assert start.ratio == 1 and end.ratio == end.figure / start.figure
        assert 50 < start.figure < 5000  # MB, of a process with torch
    process, worker = (end.figure - start.figure
                       for start, end in zip(rows[::2], rows[1::2], strict=True))
    assert process == pytest.approx(2 * leaked, abs=20)  # third and fourth batch
    assert worker == pytest.approx(0, abs=20)


def test_rows_are_kept_by_subject(tmp_path):
    """A second run replaces the subjects that it measured, and the page shows all machines."""
    records.keep('a', dict(processor='A'), [
        Row('step', 'plain', 1., 2000., 'ms'), Row('memory', 'plain', 1., 1.5, 'GB')], tmp_path)
    records.keep('a', dict(processor='A'), [Row('step', 'plain', 1., 1000., 'ms')], tmp_path)
    records.keep('b', dict(processor='B'), [Row('step', 'ours', 1.25, 3., 'ms')], tmp_path)
    lines = (tmp_path / 'README.md').read_text().split('\n')
    assert '| processor | A | B |' in lines
    assert '| plain | 1.00 (1,000 ms) |  |' in lines and '| ours |  | 1.25 (3 ms) |' in lines
    assert '| plain | 1.00 (1.5 GB) |  |' in lines


def test_the_page_is_that_of_the_files():
    assert (records.FOLDER / 'README.md').read_text() == records.build_page()


def test_methods_are_found_by_their_configs():
    found = methods.find_configs()
    assert next(iter(found)) == 'cam' and {'eil', 'meil', 'nlccam', 'cicam'} < found.keys()
    assert found.pop('cam on VGG16-GAP').stem == 'cam_vgg16_cub_wsoleval'
    for name, path in found.items():
        assert path.stem == f'{name}_vgg16_cub'


@pytest.mark.parametrize(('args', 'sentence'), [
    (('--only', 'waits'), 'nothing to measure on cpu for waits'),
    (('--device', 'cuda', '--only', 'data'), 'nothing to measure on cuda for data'),
])
def test_subjects_of_another_device_are_named(run_tool, capsys, args, sentence):
    with pytest.raises(SystemExit) as leaves:
        run_tool('benchmark.py', *args)
    assert leaves.value.code == 2 and sentence in capsys.readouterr().err


def test_command_writes_what_it_prints(run_tool, capsys, tmp_path):
    out = tmp_path / 'rows.json'
    run_tool('benchmark.py', '--only', 'testing', '--rounds', '1', '--json', out)
    printed = capsys.readouterr().out
    rows = json.loads(out.read_text())
    assert [row['variant'] for row in rows] == [
        '200 classes', '10 classes', '1,000 classes', '21,841 classes']
    for row in rows:  # of one round
        assert row['ratio'] == pytest.approx(row['figure'] / rows[0]['figure'])
        assert f"{row['ratio']:.2f}" in printed
    assert 'instruction set of torch' in printed
