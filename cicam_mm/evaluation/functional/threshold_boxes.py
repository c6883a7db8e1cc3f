"""Boxes of a score map at all thresholds, without a contour search at each of them.

The boxes are those of the reference evaluation ("Evaluating Weakly Supervised Object
Localization Methods Right", CVPR 2020): the map is converted to 8 bits and cut at
``int(t * max)``, and contours are traced around the 8-connected regions above the cut and around
their holes. Any number of thresholds amounts to at most 255 cuts, and the regions and holes of all
cuts are found together.
"""
import cv2
import numpy as np

from cicam_mm.errors import UserError

from .region_tree import regions_above


class ThresholdBoxes:
    """Boxes of one score map at every threshold.

    A box is x0, y0, min(x0 + width, w - 1), min(y0 + height, h - 1), in pixels of the map. If
    nothing is above a cut, there is one box 0, 0, 0, 0.

    Args:
        score_map (np.ndarray): Shape (h, w), values in [0, 1].
        thresholds (np.ndarray): Shares of the maximum, in [0, 1), shape (T, ).

    Attributes:
        cut_of (np.ndarray): Index of each threshold's cut, shape (T, ).

    Raises:
        ValueError: If the map is not (h, w), or holds NaN or values outside [0, 1].
    """

    def __init__(self, score_map: np.ndarray, thresholds: np.ndarray):
        low, high = np.min(score_map), np.max(score_map)
        if np.ndim(score_map) != 2 or not (low >= 0 and high <= 1):
            raise UserError(f'A score map must be (h, w) with values in [0, 1], but this one has '
                            f'shape {np.shape(score_map)} and values from {low} to {high}.')
        # all computations use a frame of zeros and units of 1 / 256 of an 8-bit value
        image = np.asarray(score_map, np.float64) * 255 * 256
        self._image = np.pad(image.astype(np.int32), 1)
        self._value = (self._image >> 8).astype(np.uint8)
        self._cuts, self.cut_of = np.unique(
            (thresholds * self._value.max()).astype(int), return_inverse=True)
        if not self._value.any():
            self._boxes, self._num_regions = np.ones((1, 4), int), np.ones(1, int)
            self._owners = self._areas = self._num_holes = np.zeros(1, int)
            return
        self._boxes, self._owners, self._areas = regions_above(
            self._image, self._cuts, with_areas=True)
        self._num_regions = np.bincount(self._owners)
        self._num_holes = self._num_regions - _euler_numbers(self._value)[self._cuts]

    def all_contours(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes of all contours, including the borders of holes.

        Returns:
            tuple: Boxes of all cuts (K, 4); index of the cut of each box (K, ), ascending.
        """
        boxes, owners = self._boxes, self._owners
        if self._num_holes.any():
            # Pixels not above the cut c are above 254 - c in the negative, where the frame belongs
            # to the outer background. A border is one pixel outside its hole.
            holes, holders, _ = regions_above(
                65535 - self._image, 254 - self._cuts[::-1], connectivity=4)
            enclosed = holes[:, 0] > 0
            boxes = np.concatenate([boxes, holes[enclosed] + [-1, -1, 1, 1]])
            owners = np.concatenate([owners, len(self._cuts) - 1 - holders[enclosed]])
            order = np.argsort(owners, kind='stable')
            boxes, owners = boxes[order], owners[order]
        return self._in_map(boxes), owners

    def largest_contour(self) -> tuple[np.ndarray, np.ndarray]:
        """Box of the contour with the largest polygon area through pixel centres.

        Ties go to the contour whose first pixel comes last in raster order.

        Returns:
            tuple: See :meth:`all_contours`; one box per cut.
        """
        last = np.cumsum(self._num_regions) - 1
        largest = np.lexsort((self._areas, self._owners))[last]
        # Areas exclude holes, but contours include them: with holes, the area of a contour is
        # between that of its region and that of its box.
        width, height = (self._boxes[:, 2:] - self._boxes[:, :2] - 1).T
        at_most = np.where(self._num_holes[self._owners] > 0, 2 * width * height, self._areas)
        at_most[largest] = -1
        rivals = np.maximum.reduceat(at_most, last + 1 - self._num_regions)
        boxes = self._boxes[largest]
        for i in np.flatnonzero(rivals >= self._areas[largest]):
            boxes[i] = _search_largest_contour(self._value > self._cuts[i])
        return self._in_map(boxes), np.arange(len(boxes))

    def _in_map(self, boxes: np.ndarray) -> np.ndarray:
        height, width = self._image.shape
        return np.minimum(boxes - 1, [width, height, width - 3, height - 3])


def _search_largest_contour(foreground: np.ndarray) -> tuple[int, int, int, int]:
    contours, _ = cv2.findContours(
        foreground.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # a contour starts with its first pixel in raster order
    largest = max(contours, key=lambda c: (cv2.contourArea(c), c[0, 0, 1], c[0, 0, 0]))
    x, y, width, height = cv2.boundingRect(largest)
    return x, y, x + width, y + height


def _euler_numbers(value: np.ndarray) -> np.ndarray:
    """Number of 8-connected regions above each cut 0..255, minus the number of their holes.

    It is counted on the background: the number of its pixels, minus adjacent pairs, plus 2 x 2
    squares, equals its components (the frame and the holes) minus what they surround (the
    regions).
    """
    across = np.maximum(value[:, 1:], value[:, :-1])
    down = np.maximum(value[1:], value[:-1])
    squares = np.maximum(across[1:], across[:-1])
    pixels, x, y, xy = (cv2.calcHist([part], [0], None, [256], [0, 256]).ravel()
                        for part in (value, across, down, squares))
    return 1 - (pixels - x - y + xy).cumsum()
