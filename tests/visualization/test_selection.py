import numpy as np

from cicam_mm.visualization.comparison import most_improved, random_images, worst_images


def test_random_images_are_distinct_sorted_and_repeatable():
    chosen = random_images(50, 20)
    assert chosen == sorted(set(chosen)) and len(chosen) == 20 and max(chosen) < 50
    assert chosen == random_images(50, 20) != random_images(50, 20, seed=1)
    assert random_images(3, 20) == [0, 1, 2]


def test_most_improved_over_the_best_of_the_others():
    ious = np.array([[.1, .5, .0, .3], [.2, .0, .4, .3], [.9, .6, .9, .1]])
    # gains .7, .1, .5 and a loss
    assert most_improved(ious, 2) == [0, 2]
    assert most_improved(ious, 9) == [0, 2, 1]


def test_worst_come_first():
    assert worst_images(np.array([.5, .0, .9, .0, .1]), 3) == [1, 3, 4]
