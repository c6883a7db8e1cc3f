"""DDT by hand, its fit in a run, and what the fit does not need."""
import re

import pytest
import torch
from head_parts import labelled

from cicam_mm.models import DDTHead
from cicam_mm.utils.errors import UserError


def fit(head, batches):
    for number in range(head.num_passes):
        head.start_pass(number)
        for features, labels in batches:
            head.observe((features, ), labelled(*labels), number)
        head.finish_pass(number)
    return head


# descriptors of two channels, 2 x 2 positions: mean (2, 1), all on a line of direction (2, 1),
# one of them 4 away from the mean on the side of (-2, -1) and three on the other
LINE = torch.tensor([[[[-4., 4], [4, 4]], [[-2., 2], [2, 2]]]])


def test_by_hand():
    head = fit(DDTHead(num_classes=2, in_channels=2), [(LINE, [1])])
    torch.testing.assert_close(head.mean, torch.tensor([[0., 0], [2, 1]]))
    # the longest projection is the single one's, so that side is the object
    torch.testing.assert_close(head.component[1], torch.tensor([-2., -1]) / 5**.5)
    assert not head.component[0].any()
    maps = head.localize((LINE, ))[1]
    torch.testing.assert_close(
        maps.of_classes(torch.tensor([[1, 0]])), 5**.5 * torch.tensor(
            [[[[3., -1], [-1, -1]], [[0, 0], [0, 0]]]]))
    assert head.predict((LINE, ), labelled(1))[0].label_box.tolist() == [0, 0, 4, 4]


def test_scores_are_those_of_the_nearest_mean():
    features, labels = torch.randn(6, 3, 2, 2), [0, 1, 2, 0, 1, 2]
    head = fit(DDTHead(num_classes=3, in_channels=3), [(features, labels)])
    means = torch.stack([features[k::3].mean(dim=(0, 2, 3)) for k in range(3)])
    distances = (features.mean(dim=(2, 3))[:, None] - means).square().sum(dim=2)
    torch.testing.assert_close(
        head.localize((features, ))[0].softmax(dim=1), (-distances).softmax(dim=1))


def test_the_order_and_size_of_batches_do_not_matter():
    features, labels = torch.rand(6, 5, 3, 3), [0, 1, 1, 0, 1, 0]
    one = fit(DDTHead(2, 5), [(features, labels)]).state_dict()
    other = fit(DDTHead(2, 5), [
        (features[i:i + 1], labels[i:i + 1]) for i in (5, 0, 3, 1, 4, 2)]).state_dict()
    torch.testing.assert_close(one, other)


def test_one_component_for_all_is_that_of_one_class():
    features = torch.rand(4, 5, 3, 3)
    shared = fit(DDTHead(4, 5, per_class=False), [(features, [0, 1, 3, 3])])
    single = fit(DDTHead(1, 5), [(features, [0] * 4)])
    torch.testing.assert_close(shared.component, single.component)
    torch.testing.assert_close(shared.mean, single.mean)
    maps = shared.localize((features, ))[1]
    assert maps.of_classes(torch.tensor([[0, 3]] * 4)).shape == (4, 2, 3, 3)
    torch.testing.assert_close(
        maps.weighted_sum(torch.zeros(4, 4)),
        single.localize((features, ))[1].of_classes(torch.zeros(4, 1, dtype=torch.int64)))


def test_training_it_is_refused():
    with pytest.raises(UserError, match=re.escape("type='FitLoop', max_epochs=2")):
        DDTHead(2, 5).loss((torch.rand(1, 5, 3, 3), ), labelled(0))
