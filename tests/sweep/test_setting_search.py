import math

import pytest

from cicam_mm.sweep.setting_search import Range, SettingSearch
from cicam_mm.utils.errors import UserError


def search(path, count):
    return SettingSearch(path, 'CAM', {'lr': Range.parse('lr', '1e-5', '1'),
                                       'epochs': Range.parse('epochs', '1', '8')}, count)


def do(search):
    """Finish all trials, whose metric is best at a rate of 1e-2 and 5 epochs."""
    tried = []
    while trials := search.next_trials(1):
        for number, texts in trials.items():
            tried.append(texts)
            search.finish(number, [-abs(math.log10(float(texts['lr'])) + 2), -abs(
                int(texts['epochs']) - 5)])
    return tried


def test_an_interrupted_search_ends_like_a_whole_one(tmp_path):
    whole = do(search(tmp_path / 'whole', 30))
    do(search(tmp_path / 'part', 9))
    search(tmp_path / 'part', 30).next_trials(10)  # the tenth is interrupted
    continued = search(tmp_path / 'part', 30)
    assert do(continued) == whole and len(whole) == 30
    rates = [math.log10(float(texts['lr'])) for texts in whole]
    assert -5 <= min(rates) < -4 and -1 < max(rates) <= 0  # on a logarithmic scale
    assert {int(texts['epochs']) for texts in whole} <= {*range(1, 9)}
    summary = continued.summary()
    assert summary.startswith('Best of 30 trials of CAM: lr=0.0') and 'epochs=5' in summary


@pytest.mark.parametrize(('low', 'high', 'sentence'), [
    ('a', '2', '--search lr takes two numbers, not a and 2'),
    ('2', '1', 'needs LOW below HIGH'), ('nan', '1', 'takes two numbers|needs LOW below HIGH')])
def test_ranges(low, high, sentence):
    with pytest.raises(UserError, match=sentence):
        Range.parse('lr', low, high)
