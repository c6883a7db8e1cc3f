"""Foreground masks of score maps: (score map (H, W), theta) -> bool mask (H, W)."""
import numpy as np

from .resizing import normalize_map

#: Grey value, as OpenCV converts RGB, of each of the 256 colours of matplotlib's ``cubehelix``.
CUBEHELIX_GREY = np.array([
    0, 0, 2, 2, 4, 4, 5, 7, 7, 9, 10, 10, 12, 13, 14, 15, 16, 16, 17, 18, 19, 20, 22, 23, 24, 25,
    26, 26, 28, 29, 29, 31, 32, 33, 34, 35, 36, 37, 37, 39, 40, 41, 42, 42, 43, 45, 46, 47, 48, 49,
    49, 50, 52, 53, 54, 54, 56, 57, 58, 58, 60, 61, 61, 62, 64, 64, 65, 67, 67, 69, 69, 71, 71, 73,
    73, 74, 76, 77, 77, 78, 80, 80, 81, 82, 83, 85, 86, 87, 88, 88, 89, 90, 91, 92, 93, 94, 95, 96,
    97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,
    116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 128, 128, 129, 130, 131, 132, 133, 134,
    135, 136, 137, 139, 140, 140, 141, 142, 144, 144, 145, 147, 147, 149, 149, 151, 151, 152, 154,
    154, 155, 157, 158, 159, 159, 160, 161, 163, 164, 165, 166, 167, 167, 169, 169, 170, 172, 172,
    174, 174, 176, 177, 178, 179, 179, 181, 182, 183, 183, 185, 186, 187, 188, 189, 190, 191, 192,
    193, 194, 194, 196, 197, 198, 199, 199, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 210,
    212, 212, 214, 214, 216, 216, 218, 219, 220, 221, 222, 223, 224, 224, 225, 227, 228, 229, 230,
    231, 232, 232, 233, 234, 236, 237, 237, 238, 240, 241, 242, 243, 243, 244, 246, 246, 248, 248,
    249, 250, 251, 252, 254, 255,
], np.uint8)


def above_theta_and_mean(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``theta * max`` that also lie above the mean of the kept map.

    CI-CAM and NL-CCAM add the second threshold; it is why theta = 0 works.
    """
    highest = score_map.max()
    kept = np.where(score_map > theta * highest, score_map, 0)
    # a power of two changes no comparison, and the sum stays below the largest number
    kept = kept * 2.**-max(int(np.frexp(highest)[1]), 0)
    return kept > kept.mean()


def above_theta(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above theta, for maps whose values mean something by themselves."""
    return score_map > theta


def at_least_theta(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values of at least theta, for maps normalized to [0, 1]."""
    return score_map >= theta


def above_theta_of_uint8(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``int(theta * max)`` of the map scaled to 0..255 and truncated to uint8."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * grey.max())


def above_theta_of_percentile(score_map: np.ndarray, theta: float,
                              percentile: float = 90) -> np.ndarray:
    """Like :func:`above_theta_of_uint8`, with a percentile in place of the maximum."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * np.percentile(grey, percentile))


def above_theta_of_cubehelix(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Like :func:`above_theta_of_uint8`, on the grey values of the cubehelix-coloured map."""
    levels = np.minimum(256 * normalize_map(score_map), 255).astype(np.uint8)
    grey = CUBEHELIX_GREY[levels]
    return grey > int(theta * grey.max())
