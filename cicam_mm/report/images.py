"""Images inside of a page, so that it needs nothing from outside."""
from base64 import b64encode
from typing import NamedTuple

import cv2
import numpy as np


class EmbeddedImage(NamedTuple):
    """``source`` holds the whole image, as a ``data:`` address; ``alt`` tells what it shows."""
    source: str
    alt: str


def embed_svg(svg: str, alt: str) -> EmbeddedImage:
    """An SVG as an image, so that its names cannot meet those of another one."""
    return _embed('image/svg+xml', svg.encode(), alt)


def embed_picture(picture: np.ndarray, alt: str) -> EmbeddedImage:
    """A picture, RGB, uint8, as a JPEG of high quality."""
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _embed('image/jpeg', data.tobytes(), alt)


def _embed(kind, data, alt):
    return EmbeddedImage(f'data:{kind};base64,{b64encode(data).decode()}', alt)
