import cv2
import matplotlib
import numpy as np

from cicam_lite.foreground import CUBEHELIX_GREY


def test_the_table_is_matplotlibs_colour_map():
    colors = matplotlib.colormaps['cubehelix'](np.arange(256))[None, :, :3]
    grey = cv2.cvtColor((255 * colors).astype(np.uint8), cv2.COLOR_RGB2GRAY)[0]
    np.testing.assert_array_equal(CUBEHELIX_GREY, grey)
