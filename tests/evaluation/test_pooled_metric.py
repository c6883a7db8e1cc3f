import pickle

import numpy as np
import pytest
from mmengine.evaluator import Evaluator

from cicam_mm.evaluation import WSOLMetric
from cicam_mm.evaluation.pooled_metric import PooledMetric, curves_of, judged_map


class Total(PooledMetric):
    """Sum of the samples' numbers."""

    def count(self, sample):
        return np.full(1000, sample['number'])

    def summarize(self, total, num_images):
        return dict(total=int(total[0]), num_images=num_images), dict(totals=total[:2].tolist())


@pytest.mark.parametrize('count', [1, 2, 3000])
def test_memory_does_not_grow_with_the_data_set(count):
    metric = Total()
    for _ in range(2):
        metric.process(None, [dict(number=1)] * count)
        assert len(pickle.dumps(metric.results)) < 50_000
        assert metric.evaluate(count) == dict(total=count, num_images=count)


def test_curves_of_an_evaluator():
    plain, with_prefix = Total(), Total(prefix='other')
    for metric in (plain, with_prefix):
        metric.process(None, [dict(number=3)])
        metric.evaluate(1)
    evaluator = Evaluator([plain, WSOLMetric(), with_prefix, Total(prefix='not evaluated')])
    assert curves_of(evaluator) == {
        'Total': dict(totals=[3, 3]), 'other/Total': dict(totals=[3, 3])}


def test_normalized_at_its_size():
    np.testing.assert_array_equal(judged_map(np.array([[-1., 0], [1, 3]]), (2, 2)),
                                  [[0, .25], [.5, 1]])


def test_normalized_behind_the_resizing():
    """Bicubic values leave the range of the map, and are scaled into it again."""
    judged = judged_map(np.array([[0., 0, 9, 9]]), (3, 16))
    assert (judged.min(), judged.max()) == (0, 1)
    assert 0 < judged[0, 0] < judged[0, 15] < 1  # the plateaus; the overshoots are between them
    np.testing.assert_allclose(judged, 1 - judged[:, ::-1], atol=1e-12)
    assert not judged_map(np.full((3, 4), 7.), (3, 4)).any()


def test_values_that_are_not_finite_are_an_error():
    with pytest.raises(ValueError, match='2 of 6 values of the score map are not finite'):
        judged_map(np.array([[0, 1, 2], [3, np.nan, -np.inf]]), (30, 30))
