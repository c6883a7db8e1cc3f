"""Boxes of a score map at all thresholds: all at once, and by contour searches."""

import cv2
import numpy as np

from cicam_lite.resizing import normalize_map, resize_bicubic
from cicam_mm.evaluation.threshold_boxes import ThresholdBoxes


def random_map(rng: np.random.Generator, size: int) -> np.ndarray:
    """A 14 x 14 map between noise and one smooth hill, resized as in the evaluation."""
    features = cv2.GaussianBlur(rng.random((14, 14)), (0, 0), rng.uniform(0.5, 2.5))
    return normalize_map(resize_bicubic(features, (size, size)))


def contour_search(score_map: np.ndarray, thresholds: np.ndarray, every: bool) -> list[list]:
    """Boxes of all contours, or of the largest, at each threshold, as the reference finds them."""
    grey = (score_map * 255).astype(np.uint8)
    right, bottom = grey.shape[1] - 1, grey.shape[0] - 1
    boxes = []
    for threshold in thresholds:
        _, foreground = cv2.threshold(
            grey, int(threshold * grey.max()), 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(foreground, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        if not every:
            contours = [max(contours, key=cv2.contourArea)]
        bounds = (cv2.boundingRect(contour) for contour in contours)
        boxes.append([(x, y, min(x + w, right), min(y + h, bottom)) for x, y, w, h in bounds])
    return boxes


def distinct_cuts(score_map: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One threshold for each different 8-bit cut, (C, ), and the cut of each threshold, (T, )."""
    highest = (score_map * 255).astype(np.uint8).max()
    _, first, cut_of = np.unique(
        (thresholds * highest).astype(int), return_index=True, return_inverse=True)
    return thresholds[first], cut_of


def search_at_cuts(score_map: np.ndarray, thresholds: np.ndarray, every: bool) -> list[list]:
    """The same boxes from one search for each different cut, of which there are at most 255."""
    different, cut_of = distinct_cuts(score_map, thresholds)
    found = contour_search(score_map, different, every)
    return [found[cut] for cut in cut_of]


def together(score_map: np.ndarray, thresholds: np.ndarray, every: bool) -> list[np.ndarray]:
    """The same boxes from the regions and holes of all cuts."""
    found = ThresholdBoxes(score_map, thresholds)
    boxes, owners = found.all_contours() if every else found.largest_contour()
    at_cut = np.split(boxes, np.flatnonzero(np.diff(owners)) + 1)
    return [at_cut[cut] for cut in found.cut_of]
