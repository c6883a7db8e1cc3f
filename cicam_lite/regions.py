"""Which region of the foreground the box encloses, and where the box ends.

Region functions take a non-empty mask (H, W) and return x0, y0, x1, y1 with exclusive ends.
"""
import cv2
import numpy as np


def largest_box(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the 4-connected region whose *box* is largest.

    Among boxes of equal area, the first in raster order wins.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=4)
    x, y, w, h = stats[1:, :4].T
    best = np.argmax(w * h)
    return np.array([x[best], y[best], x[best] + w[best], y[best] + h[best]])


def largest_region(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the 8-connected region with the most pixels.

    Among regions of equal size, the first in raster order wins.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        foreground.astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    is_largest = sizes == sizes[1:].max()
    is_largest[0] = False  # the background
    x, y, w, h = stats[labels[is_largest[labels]][0], :4]
    return np.array([x, y, x + w, y + h])


def largest_contour(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the outer contour (8-connected) with the largest polygon area.

    The polygon runs through pixel centres, so a line has area 0. Among contours of equal area,
    the one whose first pixel comes last in raster order wins, as in :class:`MaxBoxAcc`.
    """
    contours, _ = cv2.findContours(
        foreground.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # a contour starts with its first pixel in raster order
    x, y, w, h = cv2.boundingRect(
        max(contours, key=lambda c: (cv2.contourArea(c), c[0, 0, 1], c[0, 0, 0])))
    return np.array([x, y, x + w, y + h])


def everything(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the whole foreground."""
    x, y, w, h = cv2.boundingRect(foreground.astype(np.uint8))
    return np.array([x, y, x + w, y + h])


def exclusive(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends are one pixel past the region."""
    return box


def capped(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends are one pixel past the region, but at most the map's last pixel."""
    height, width = shape
    return np.minimum(box, [width, height, width - 1, height - 1])


def inclusive(box: np.ndarray, shape: tuple) -> np.ndarray:
    """Ends are the last pixel of the region."""
    return box - [0, 0, 1, 1]
