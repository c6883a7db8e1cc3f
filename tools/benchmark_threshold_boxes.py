"""Time the boxes of score maps at all thresholds against a contour search at each threshold:
``python tools/benchmark_threshold_boxes.py``.

The two take turns on every map, in one process, and must find the same boxes.
"""

import argparse
import sys
from time import perf_counter

import cv2
import numpy as np

from cicam_mm.evaluation.functional.box_accuracy import score_thresholds
from cicam_mm.evaluation.functional.score_map import judged_map
from cicam_mm.evaluation.functional.threshold_boxes import ThresholdBoxes


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--maps', type=int, default=20)
    parser.add_argument('--size', type=int, default=224, help='side of a map in pixels')
    parser.add_argument('--interval', type=float, default=0.001, help='between thresholds')
    return parser.parse_args()


def random_map(rng: np.random.Generator, size: int) -> np.ndarray:
    """A 14 x 14 map between noise and one smooth hill, resized as in the evaluation."""
    features = cv2.GaussianBlur(rng.random((14, 14)), (0, 0), rng.uniform(0.5, 2.5))
    return judged_map(features, (size, size))


def contour_search(score_map, thresholds, multi_contour):
    """Boxes at each threshold, as the reference finds them."""
    grey = (score_map * 255).astype(np.uint8)
    right, bottom = grey.shape[1] - 1, grey.shape[0] - 1
    boxes = []
    for threshold in thresholds:
        _, foreground = cv2.threshold(
            grey, int(threshold * grey.max()), 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(foreground, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        if not multi_contour:
            contours = [max(contours, key=cv2.contourArea)]
        bounds = (cv2.boundingRect(contour) for contour in contours)
        boxes.append([(x, y, min(x + w, right), min(y + h, bottom)) for x, y, w, h in bounds])
    return boxes


def together(score_map, thresholds, multi_contour):
    """The same from the regions and holes of all cuts."""
    found = ThresholdBoxes(score_map, thresholds)
    boxes, owners = found.all_contours() if multi_contour else found.largest_contour()
    at_cut = np.split(boxes, np.flatnonzero(np.diff(owners)) + 1)
    return [at_cut[cut] for cut in found.cut_of]


def main() -> None:
    args = parse_args()
    rng, thresholds = np.random.default_rng(0), score_thresholds(args.interval)
    maps = [random_map(rng, args.size) for _ in range(args.maps)]
    for multi_contour, name in ((False, 'largest contour'), (True, 'all contours')):
        seconds = dict.fromkeys((contour_search, together), 0.)
        for number, score_map in enumerate(maps):
            found = []
            for method in seconds:
                start = perf_counter()
                found.append(method(score_map, thresholds, multi_contour))
                seconds[method] += perf_counter() - start
            for threshold, boxes, others in zip(thresholds, *found, strict=True):
                if sorted(boxes) != sorted(map(tuple, others.tolist())):
                    sys.exit(f'error: map {number} has other boxes at {threshold:g}, {name}')
        slow, fast = (1000 * value / len(maps) for value in seconds.values())
        print(f'{name}: {slow:.1f} ms a map with a search at each of {len(thresholds)} '
              f'thresholds, {fast:.1f} ms together: {fast / slow:.3f} of the time, same boxes')


if __name__ == '__main__':
    main()
