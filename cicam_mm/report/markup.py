"""Pieces of an HTML page that needs nothing from outside."""
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np


def table(header: Sequence[str], rows: Iterable[Sequence[str]], is_text: bool = False) -> str:
    """A table that scrolls sideways where it is too wide; first column: names of the rows."""
    kind = ' class="text"' if is_text else ''
    head = ''.join(f'<th scope="col"{kind}>{escape(cell)}</th>' for cell in header)
    body = '\n'.join(
        f'<tr><th scope="row"{kind}>{escape(name)}</th>'
        + ''.join(f'<td{kind}>{escape(cell)}</td>' for cell in cells) + '</tr>'
        for name, *cells in rows)
    return (f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
            '</tbody></table></div>')


def svg_figure(svg: str, alt: str) -> str:
    """An SVG as an image, so that its names cannot meet those of another one."""
    return _figure('image/svg+xml', svg.encode(), alt)


def picture_figure(picture: np.ndarray, alt: str) -> str:
    """A picture, RGB, uint8, as a JPEG of high quality."""
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _figure('image/jpeg', data.tobytes(), alt)


def grid(figures: Iterable[str]) -> str:
    """Figures side by side, as many in a line as there is room for."""
    return '<div class="grid">\n{}\n</div>'.format('\n'.join(figures))


def note(text: str) -> str:
    """A paragraph that stands out."""
    return f'<p class="note">{escape(text)}</p>'


def _figure(kind, data, alt):
    source = f'data:{kind};base64,{b64encode(data).decode()}'
    return f'<figure><img src="{source}" alt="{escape(alt)}"></figure>'
