import pytest
import torch
import torch.nn.functional as F
from head_parts import labelled as samples
from mmpretrain.registry import MODELS

from cicam_mm.models.danet import LevelClassMaps, group_levels, similarity_of_maps

TREE = dict(a=dict(x=[0, 1], y=[2]), b=dict(z=[3]))


def build(**options):
    return MODELS.build(dict(
        type='DANetHead', num_classes=4, hierarchy=TREE, in_channels=(2, 3, 3),
        hidden_channels=(4, 4, 4)) | options)


@pytest.fixture
def feats():
    return torch.randn(2, 2, 8, 8), torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)


@pytest.mark.parametrize('lengths, expected', [
    ([1, 1, 1], 1), ([1, 1, -1], 1 / 3), ([1, -2, 3, -.5], 1 / 3), ([1, 1], 1), ([5], 0)])
def test_similarity_of_parallel_maps(lengths, expected):
    # cosines of e, e, -e: 1, -1, -1, whose sum is -1 of 3; of two pairs of opposites: -2 of 6
    direction = torch.randn(2, 1, 5, 5)
    maps = direction * torch.tensor(lengths, dtype=torch.float32).view(1, -1, 1, 1)
    torch.testing.assert_close(similarity_of_maps(maps), torch.full((2, ), float(expected)))


def test_similarity_of_orthogonal_and_of_missing_maps():
    maps = torch.eye(4).view(1, 4, 2, 2)
    assert similarity_of_maps(maps).item() == 0
    nothing = torch.zeros(1, 4, 2, 2, requires_grad=True)
    similarity_of_maps(nothing).sum().backward()
    assert similarity_of_maps(nothing).item() == 0 and not nothing.grad.any()


def test_one_map_without_similarity_is_three_plain_classifiers(feats):
    head = build(num_maps=1, similarity_weight=0.)
    losses = head.loss(feats, samples(1, 3))
    expected = dict(loss_similarity=torch.zeros(()))
    for level, labels in enumerate(([0, 1], [0, 2], [1, 3])):
        scores = head.branches[level](feats[level]).mean(dim=(2, 3))
        expected[f'loss_level{level}'] = .5 * F.cross_entropy(scores, torch.tensor(labels))
    torch.testing.assert_close(losses, expected)


def test_half_of_the_maps_is_drawn_anew():
    head = build()
    assert sorted(head._draw(6).tolist()) != sorted(head._draw(6).tolist())
    assert len(head._draw(6)) == 3


def test_channels_are_counted_map_by_map_within_a_group(feats):
    head = build(num_maps=2)
    flat = head.branches[2](feats[2])
    assert flat.shape[1] == 8
    assert head.group_maps(feats)[2][:, 3, 1].equal(flat[:, 7])


def test_scores_keep_the_sign_that_maps_lose(feats):
    head = build(num_maps=2)
    head.branches[2][-1].bias.data -= 10  # all maps of the classes become negative
    scores, class_maps = head.localize(feats)
    torch.testing.assert_close(scores, head.group_maps(feats)[2].mean(dim=(2, 3, 4)))
    assert scores.max() < 0 and not class_maps.maps[2].any()


@pytest.mark.parametrize('options, message', [
    (dict(hierarchy=dict(a=[0, 1], b=[2, 3])), 'make 2 levels, but in_channels has 3'),
    (dict(hidden_channels=(4, )), 'hidden_channels 1; give one of each for every level'),
])
def test_hierarchy_must_fit(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


# --- the hierarchy ---------------------------------------------
BIRDS_AND_SHIPS = dict(vehicles=dict(ships=[1], cars=[0, 3]), animals=dict(birds=[2, 4]))


def test_levels_by_hand():
    orders, families = group_levels(BIRDS_AND_SHIPS, 5)
    assert orders.tolist() == [0, 0, 1, 0, 1]
    assert families.tolist() == [0, 1, 2, 0, 2]  # cars, ships, birds: by their smallest class
    # equal names in different groups are different
    families = group_levels(dict(a=dict(other=[0]), b=dict(other=[1])), 2)[1]
    assert families.tolist() == [0, 1]


def test_order_of_writing_does_not_matter():
    """A config that was saved and read again may list its keys in another order."""
    other = dict(animals=dict(birds=[4, 2]), vehicles=dict(cars=[3, 0], ships=[1]))
    assert [level.tolist() for level in group_levels(other, 5)] == [
        level.tolist() for level in group_levels(BIRDS_AND_SHIPS, 5)]


@pytest.mark.parametrize('tree, message', [
    (dict(a=[0, 1]), r'must hold the classes 0 to 2: missing are \[2\], unknown are none'),
    (dict(a=[0, 1], b=[3, 2]), r'missing are none, unknown are \[3\]'),
    (dict(), r'missing are \[0, 1, 2\]'),
    (dict(a=[0, 1], b=dict(c=[1, 2])), 'class 1 is in the class hierarchy twice: in a and b/c'),
    (dict(a=[0, 1], b=dict(c=[2])), 'at the same depth, but some are at 1 and some at 2'),
])
def test_bad_trees(tree, message):
    with pytest.raises(ValueError, match=message):
        group_levels(tree, 3)


# --- its maps ---------------------------------------------
# 1 x 1 maps, so a sum is a number: two orders, three families, four classes of one image
SCORES = [[1, 2], [1, 3, 2], [1, 4, 3, 2]]   # best first: 1 0; 1 2 0; 1 2 3 0
VALUES = [[100, 200], [10, 20, 30], [1, 2, 3, 4]]


def level_maps(num_ranked=5):
    return LevelClassMaps([torch.tensor(level, dtype=torch.float32).view(1, -1, 1, 1)
                           for level in VALUES],
                          [torch.tensor([level], dtype=torch.float32) for level in SCORES],
                          num_ranked)


def test_each_level_has_its_own_ranking():
    maps = level_maps().of_classes(torch.tensor([[1, 2, 3, 0]])).flatten().tolist()
    # rank 0: 200 + 20 + 2; rank 1: 100 + 30 + 3; of ranks 2 and 3 there are no more orders,
    # of rank 3 no more families: the best ones stand in
    assert maps == [222, 133, 200 + 10 + 4, 200 + 20 + 1]


def test_classes_below_the_ranked_ones_take_the_best_groups():
    maps = level_maps(num_ranked=1).of_classes(torch.tensor([[1, 2, 3, 0]])).flatten().tolist()
    assert maps == [222, 223, 224, 221]


def test_resized_to_the_first_level_with_corners_in_place():
    maps = [torch.zeros(1, 1, 1, 3), torch.tensor([[[[0., 4]]]])]
    class_maps = LevelClassMaps(maps, [torch.zeros(1, 1)] * 2, 5)
    assert class_maps.of_classes(torch.tensor([[0]])).flatten().tolist() == [0, 2, 4]
