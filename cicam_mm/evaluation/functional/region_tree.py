"""The connected regions of an image above every cut, in one pass over the image.

From every pixel, stepping to the highest neighbour again and again leads to a peak. The pixels of
a peak that are above a cut are connected, because their paths to the peak are above it, too. So
the regions above a cut are groups of peaks, and two groups merge at the highest saddle between
them. An image has few peaks, so merging them is cheap.
"""
from collections.abc import Sequence

import numpy as np


def regions_above(image: np.ndarray, cuts: np.ndarray, connectivity: int = 8,
                  with_areas: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connected regions of the pixels above each cut, in an image of 8-bit values.

    Args:
        image (np.ndarray): Shape (h, w), int32: 256 times the 8-bit value plus a fraction
            below 256, which orders pixels of equal value and so avoids most plateaus. Its
            outermost pixels are a frame of equal value.
        cuts (np.ndarray): Values 0 to 254, ascending, shape (C, ).
        connectivity (int): 8, or 4 without the diagonals. Defaults to 8.
        with_areas (bool): Whether to measure areas, for connectivity 8. Defaults to False.

    Returns:
        tuple: Arrays over all regions of all cuts: ``boxes`` (K, 4), x0, y0, x1, y1 with
        exclusive ends; ``owners`` (K, ), the index of the cut, ascending; ``areas`` (K, ),
        twice the area of the polygons through the centres of touching pixels, without holes
        (zeros unless ``with_areas``).
    """
    row = image.shape[1]
    steps = {4: (-row, -1, 0, 1, row),
             8: (-row - 1, -row, -row + 1, -1, 0, 1, row - 1, row, row + 1)}[connectivity]
    peak, peaks = _climb(image, steps)
    value, n = (image >> 8).astype(np.uint8), len(peaks)
    (left, right), (top, bottom) = _reach(value, peak, n), _reach(value.T, peak.T, n)
    reach = np.stack([left, top, right, bottom])[..., cuts + 1]
    area = np.zeros((n, len(cuts)), int)
    if with_areas:
        area = _doubled_area(value, peak, n)[:, cuts + 1]

    # Peak p represents a separate region at the cuts last[p] to first[p] - 1.
    num_lower_cuts = np.searchsorted(cuts, np.arange(256))
    first, last = num_lower_cuts[value.ravel()[peaks]], np.zeros(n, int)
    leader = list(range(n))
    for level, a, b in _saddles(value.ravel(), peak.ravel(), n, steps):
        a, b = _leader_of(a, leader), _leader_of(b, leader)
        if a != b:
            below = num_lower_cuts[level]
            reach[:, a, :below] = np.maximum(reach[:, a, :below], reach[:, b, :below])
            area[a, :below] += area[b, :below]
            leader[b], last[b] = a, below

    cut = np.arange(len(cuts))[:, None]
    owners, regions = np.nonzero((last <= cut) & (cut < first))
    boxes = reach[:, regions, owners].T * [-1, -1, 1, 1]
    return boxes, owners, area[regions, owners]


def _climb(image: np.ndarray, steps: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Number of the peak that each pixel leads to, (h, w), and the flat index of each peak."""
    # The lowest bits hold the number of the step to the highest pixel found so far. Among equal
    # pixels the larger number wins, so all paths lead down the rows and there are no cycles.
    key = image.ravel() << 4
    start, stop = steps[-1], image.size - steps[-1]
    highest = key[start:stop] + len(steps) // 2
    for number, step in enumerate(steps):
        np.maximum(highest, key[start + step:stop + step] + number, out=highest)
    here = np.arange(image.size)
    goal = np.zeros_like(here)         # pixels of the frame share one goal
    goal[start:stop] = here[start:stop] + np.take(steps, highest & 15)
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            break
        goal = further
    peaks = np.flatnonzero((goal == here) & (image.ravel() > 255))
    number = np.zeros_like(here)       # 8-bit zeros are above no cut, so any peak will do
    number[peaks] = np.arange(len(peaks))
    return number[goal].reshape(image.shape), peaks


def _reach(value: np.ndarray, peak: np.ndarray, n: int) -> np.ndarray:
    """Extent, along the rows, of each peak's pixels at or above each value.

    Returns:
        np.ndarray: Shape (2, n, 256): minus the first column and one past the last.
    """
    columns = np.arange(value.shape[1])
    highest = np.zeros(n * len(columns), value.dtype)
    np.maximum.at(highest, (peak * len(columns) + columns).ravel(), value.ravel())
    at = (np.arange(n)[:, None] * 256 + highest.reshape(n, -1)).ravel()
    reach = np.full((2, n * 256), -len(columns))
    for side, coordinate in zip(reach, (-columns, columns + 1), strict=True):
        np.maximum.at(side, at, np.tile(coordinate, n))
    return np.maximum.accumulate(reach.reshape(2, n, 256)[..., ::-1], axis=2)[..., ::-1]


def _doubled_area(value: np.ndarray, peak: np.ndarray, n: int) -> np.ndarray:
    """Twice the polygon area of each peak's pixels at or above each value, (n, 256).

    A 2 x 2 square adds a triangle if three of its pixels are inside, and the rest if all are.
    """
    a, b, c, d = value[:-1, :-1], value[:-1, 1:], value[1:, :-1], value[1:, 1:]
    low_ad, high_ad = np.minimum(a, d), np.maximum(a, d)
    low_bc, high_bc = np.minimum(b, c), np.maximum(b, c)
    four_in = np.minimum(low_ad, low_bc)
    three_in = np.minimum(np.maximum(low_ad, low_bc), np.minimum(high_ad, high_bc))
    # Any three of the pixels include a or d; the higher of these is always in the region.
    at = np.where(a >= d, peak[:-1, :-1], peak[1:, 1:]) * 256
    added = (np.bincount((at + four_in).ravel(), minlength=n * 256) +
             np.bincount((at + three_in).ravel(), minlength=n * 256))
    return added.reshape(n, 256)[:, ::-1].cumsum(axis=1)[:, ::-1]


def _saddles(value: np.ndarray, peak: np.ndarray, n: int,
             steps: Sequence[int]) -> list[list[int]]:
    """Highest saddle (level, peak, peak) of each pair of adjacent peaks, highest first."""
    saddles = []
    for step in steps[len(steps) // 2 + 1:]:
        here = np.flatnonzero(peak[step:] != peak[:-step])
        there = here + step
        level = np.minimum(value[here], value[there])
        saddles.append((peak[here] * n + peak[there]) * 256 + level)
    saddles = np.sort(np.concatenate(saddles))
    saddles = saddles[np.diff(saddles >> 8, append=-1) != 0]
    saddles = saddles[np.argsort(-(saddles & 255))]
    pair, level = saddles >> 8, saddles & 255
    return np.stack([level, pair // n, pair % n], axis=1).tolist()


def _leader_of(peak: int, leader: list[int]) -> int:
    while leader[peak] != peak:
        leader[peak] = peak = leader[leader[peak]]
    return peak
