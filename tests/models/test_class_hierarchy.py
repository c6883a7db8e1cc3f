import pytest

from cicam_mm.models.danet import group_levels

TREE = dict(vehicles=dict(ships=[1], cars=[0, 3]), animals=dict(birds=[2, 4]))


def test_levels_by_hand():
    orders, families = group_levels(TREE, 5)
    assert orders.tolist() == [0, 0, 1, 0, 1]
    assert families.tolist() == [0, 1, 2, 0, 2]  # cars, ships, birds: by their smallest class


def test_order_of_writing_does_not_matter():
    """A config that was saved and read again may list its keys in another order."""
    other = dict(animals=dict(birds=[4, 2]), vehicles=dict(cars=[3, 0], ships=[1]))
    assert [level.tolist() for level in group_levels(other, 5)] == [
        level.tolist() for level in group_levels(TREE, 5)]


def test_equal_names_in_different_groups_are_different():
    families = group_levels(dict(a=dict(other=[0]), b=dict(other=[1])), 2)[1]
    assert families.tolist() == [0, 1]


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
