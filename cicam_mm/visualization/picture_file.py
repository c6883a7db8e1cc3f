from pathlib import Path

import cv2
import numpy as np

from cicam_mm.files import write_atomically


def write_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture, RGB, uint8, (H, W, 3), as a file that appears whole or not at all.

    Args:
        path (str | Path): Its ending tells the format; missing folders are made.
        picture (np.ndarray): The picture.

    Raises:
        OSError: If it cannot be written; the message names it.
    """
    _, content = cv2.imencode(Path(path).suffix, picture[..., ::-1])
    write_atomically(path, content.tobytes())
