from pathlib import Path

import cv2
import numpy as np

from cicam_mm.files import write_atomically


def write_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture, RGB, uint8, (H, W, 3), to a file, atomically.

    Args:
        path (str | Path): Its extension determines the format; missing folders are created.
        picture (np.ndarray): The picture.

    Raises:
        OSError: If it cannot be written; the message names it.
    """
    _, content = cv2.imencode(Path(path).suffix, picture[..., ::-1])
    write_atomically(path, content.tobytes())
