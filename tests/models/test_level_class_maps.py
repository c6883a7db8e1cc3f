import torch

from cicam_mm.models.danet import LevelClassMaps

# 1 x 1 maps, so a sum is a number: two orders, three families, four classes of one image
SCORES = [[1, 2], [1, 3, 2], [1, 4, 3, 2]]   # best first: 1 0; 1 2 0; 1 2 3 0
VALUES = [[100, 200], [10, 20, 30], [1, 2, 3, 4]]


def build(num_ranked=5):
    return LevelClassMaps([torch.tensor(level, dtype=torch.float32).view(1, -1, 1, 1)
                           for level in VALUES],
                          [torch.tensor([level], dtype=torch.float32) for level in SCORES],
                          num_ranked)


def test_each_level_has_its_own_ranking():
    maps = build().of_classes(torch.tensor([[1, 2, 3, 0]])).flatten().tolist()
    # rank 0: 200 + 20 + 2; rank 1: 100 + 30 + 3; of ranks 2 and 3 there are no more orders,
    # of rank 3 no more families: the best ones stand in
    assert maps == [222, 133, 200 + 10 + 4, 200 + 20 + 1]


def test_classes_below_the_ranked_ones_take_the_best_groups():
    maps = build(num_ranked=1).of_classes(torch.tensor([[1, 2, 3, 0]])).flatten().tolist()
    assert maps == [222, 223, 224, 221]


def test_sum_of_all_maps_is_that_of_single_ones():
    scores = [torch.randn(2, n) for n in (2, 3, 6)]
    maps = [torch.randn(2, n, size, size) for n, size in ((2, 8), (3, 4), (6, 4))]
    class_maps, coefficients = LevelClassMaps(maps, scores, 3), torch.randn(2, 6)
    single = class_maps.of_classes(torch.arange(6).expand(2, -1))
    expected = (coefficients[..., None, None] * single).sum(dim=1, keepdim=True)
    assert single.shape == (2, 6, 8, 8)
    torch.testing.assert_close(class_maps.weighted_sum(coefficients), expected,
                               rtol=1e-4, atol=1e-5)


def test_resized_to_the_first_level_with_corners_in_place():
    maps = [torch.zeros(1, 1, 1, 3), torch.tensor([[[[0., 4]]]])]
    class_maps = LevelClassMaps(maps, [torch.zeros(1, 1)] * 2, 5)
    assert class_maps.of_classes(torch.tensor([[0]])).flatten().tolist() == [0, 2, 4]
