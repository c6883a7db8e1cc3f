"""Text and legends on white, and the strip below a picture that holds them.

Lengths are in pixels; ``font_size`` is the height of a line of text without leading.
"""
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import fontManager, get_font
from PIL import Image, ImageDraw, ImageFont

INK = (40, 40, 40)

WHITE = 255

# matplotlib includes these fonts, so pictures look the same everywhere
_FONTS = Path(matplotlib.get_data_path(), 'fonts', 'ttf')


def draw_text(text: str, font_size: int, max_width: int, frame: tuple | None = None,
              bold: bool = False) -> np.ndarray:
    """Draw one line of text, RGB, uint8; text that is too long ends in an ellipsis.

    Before it is a small frame of the colour ``frame``, if given: the legend of such a box.
    Characters that DejaVu Sans lacks, such as Chinese ones, take the first installed font that
    has all of the text; without one they are drawn as their escapes (``\\u7fe0``).
    """
    path, text = font_for(text, bold)
    font = ImageFont.truetype(path, font_size)
    indent = round(1.5 * font_size) if frame else 0
    while indent + font.getlength(text) > max_width and len(text) > 1:
        text = text[:-2] + '…'
    height, width = round(1.6 * font_size), max(1, indent + round(font.getlength(text)))
    picture = Image.new('RGB', (min(width, max_width), height), 'white')
    draw = ImageDraw.Draw(picture)
    if frame:
        top = (height - font_size) // 2
        draw.rectangle((0, top, font_size, top + font_size), outline=frame,
                       width=max(2, font_size // 5))
    draw.text((indent, height / 2), text, fill=INK, font=font, anchor='lm')
    return np.array(picture)


@cache
def font_for(text: str, bold: bool) -> tuple[str, str]:
    """A font file, and the text with escapes for what that font lacks."""
    own, needed = _own_font(bold), set(map(ord, text))
    if needed <= _characters(own):
        return own, text
    installed = sorted(fontManager.ttflist, key=lambda font: (
        font.style != 'normal', (font.weight in ('bold', 700)) != bold, font.name))
    for font in installed:
        # matplotlib's Last Resort has a box for every character
        if needed <= _characters(font.fname) and 'Last Resort' not in font.name:
            return font.fname, text
    return own, ''.join(letter if ord(letter) in _characters(own) else ascii(letter)[1:-1]
                        for letter in text)


def _own_font(bold):
    return str(_FONTS / f'DejaVuSans{"-Bold" * bold}.ttf')


@cache
def _characters(path):
    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):  # removed since matplotlib listed it, or damaged
        return frozenset()


def draw_color_bar(colors: np.ndarray, font_size: int) -> np.ndarray:
    """Draw a legend of the colour map: "low", the colours (n, 3) from left to right, "high"."""
    low, high = (draw_text(text, font_size, 4 * font_size) for text in ('low', 'high'))
    bar = np.full((len(low), 7 * font_size, 3), WHITE, np.uint8)
    top, margin = (len(low) - font_size) // 2, font_size // 2
    width = bar.shape[1] - 2 * margin
    shades = colors[np.linspace(0, len(colors) - 1, width).round().astype(int)]
    bar[top:top + font_size, margin:margin + width] = shades
    return np.concatenate([low, bar, high], axis=1)


def flow(items: list[np.ndarray], width: int, font_size: int) -> np.ndarray:
    """Arrange pictures of one line's height side by side in lines of a given width.

    The margin is half a font size, the gap between items two.
    """
    margin, x, lines = font_size // 2, width, []
    for item in items:
        if x + item.shape[1] > width - margin:
            x = margin
            lines.append(np.full((len(item), width, 3), WHITE, np.uint8))
        lines[-1][:, x:x + item.shape[1]] = item
        x += item.shape[1] + 2 * font_size
    edge = np.full((margin, width, 3), WHITE, np.uint8)
    return np.concatenate([edge, *lines, edge])


def centered(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Centre a picture on a white canvas that is at least as large."""
    canvas = np.full((height, width, 3), WHITE, np.uint8)
    y, x = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    canvas[y:y + picture.shape[0], x:x + picture.shape[1]] = picture
    return canvas
