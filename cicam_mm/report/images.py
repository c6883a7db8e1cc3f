"""Images embedded in a page, so that it needs no other files."""
from base64 import b64encode
from typing import NamedTuple

import cv2
import numpy as np


class EmbeddedImage(NamedTuple):
    """``source`` is the whole image as a ``data:`` address; ``alt`` describes it."""
    source: str
    alt: str


def embed_svg(svg: str, alt: str) -> EmbeddedImage:
    """Embed an SVG as an image, so that its ids do not collide with those of others."""
    return _embed('image/svg+xml', svg.encode(), alt)


def embed_picture(picture: np.ndarray, alt: str) -> EmbeddedImage:
    """Embed a picture, RGB, uint8, as a JPEG of high quality."""
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _embed('image/jpeg', data.tobytes(), alt)


def _embed(kind, data, alt):
    return EmbeddedImage(f'data:{kind};base64,{b64encode(data).decode()}', alt)
