import pytest
import torch

from cicam_mm.localization.map_rules import rank_classes


def test_by_hand():
    scores = torch.tensor([[0.5, 2., -1., 2., -3.], [-0., 0., 1e-40, -1e-40, float('-inf')]])
    assert rank_classes(scores).tolist() == [[1, 3, 0, 2, 4], [2, 0, 1, 3, 4]]


@pytest.mark.parametrize('scale', [1e-30, 1., 1e30])
@pytest.mark.parametrize('kind', [torch.float32, torch.float64, torch.bfloat16])
def test_equals_a_stable_sort(scale, kind):
    scores = (scale * torch.randn(3, 500)).to(torch.bfloat16).to(kind)  # many equal ones
    expected = [sorted(range(500), key=lambda c: -row[c]) for row in scores.tolist()]
    assert rank_classes(scores).tolist() == expected


def test_scores_with_a_gradient():
    scores = torch.tensor([[1., 2.]], requires_grad=True)
    assert rank_classes(scores).tolist() == [[1, 0]]
