import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from cicam_lite.foreground import CUBEHELIX_GREY

CODE = """
import sys
sys.modules['matplotlib'] = None
import numpy as np
import cicam_lite
for name in cicam_lite.BOX_RULES:
    cicam_lite.find_box(np.eye(8), cicam_lite.get_box_rule(name), .2)
"""


def test_the_table_is_matplotlibs_colour_map():
    colors = matplotlib.colormaps['cubehelix'](np.arange(256))[None, :, :3]
    grey = cv2.cvtColor((255 * colors).astype(np.uint8), cv2.COLOR_RGB2GRAY)[0]
    np.testing.assert_array_equal(CUBEHELIX_GREY, grey)


def test_no_rule_needs_matplotlib():
    subprocess.run([sys.executable, '-c', CODE], cwd=Path(__file__).parents[2], check=True)
