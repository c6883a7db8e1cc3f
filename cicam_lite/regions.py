"""Which region of the foreground becomes the box, and where the box ends.

A region is a function of a non-empty mask (H, W); its box x0, y0, x1, y1 has exclusive ends.
"""
import cv2
import numpy as np


def largest_box(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the 4-connected region whose *box* is largest.

    Of equal boxes the first in raster order wins.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=4)
    x, y, w, h = stats[1:, :4].T
    best = np.argmax(w * h)
    return np.array([x[best], y[best], x[best] + w[best], y[best] + h[best]])


def largest_contour(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the outer contour (8-connected) with the largest polygon area.

    The polygon runs through pixel centres, so that a line has area 0. Of equal contours that
    whose first pixel in raster order comes last wins, as in :class:`MaxBoxAcc`.
    """
    contours, _ = cv2.findContours(
        foreground.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # a contour starts with its first pixel in raster order
    x, y, w, h = cv2.boundingRect(
        max(contours, key=lambda c: (cv2.contourArea(c), c[0, 0, 1], c[0, 0, 0])))
    return np.array([x, y, x + w, y + h])


def everything(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of all foreground."""
    x, y, w, h = cv2.boundingRect(foreground.astype(np.uint8))
    return np.array([x, y, x + w, y + h])


def exclusive(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends stay one pixel behind the region."""
    return box


def capped(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends stay one pixel behind the region, but not behind the map's last pixel."""
    height, width = shape
    return np.minimum(box, [width, height, width - 1, height - 1])


def inclusive(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends move to the last pixel of the region."""
    return box - [0, 0, 1, 1]
