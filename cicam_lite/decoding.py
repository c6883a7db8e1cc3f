"""Decoding of images with OpenCV alone.

This is the decoder of the whole project: ``cicam_mm.datasets.images`` calls it, and decodes with
Pillow what it does not accept.
"""
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

import cv2
import numpy as np

#: Most pixels of a decoded image, unless an option says otherwise; as in Pillow.
MAX_PIXELS = 89_478_485

REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

STORED = cv2.IMREAD_IGNORE_ORIENTATION

PNG = b'\x89PNG\r\n\x1a\n'

# tags of TIFF, and so of EXIF
BITS, PHOTOMETRIC, ORIENTATION, EXTRA, FORMAT = 0x102, 0x106, 0x112, 0x152, 0x153


class Unsupported(ValueError):
    """A kind of image that this module does not decode."""


class Picture(NamedTuple):
    """A decoded image: ``pixels`` BGR, uint8, (h, w, 3); ``shape`` (H, W) before any reduction.

    ``orientation`` says how to turn it upright, as in EXIF; 1 if it is.
    """
    pixels: np.ndarray
    shape: tuple[int, int]
    orientation: int = 1


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a JPEG, PNG, WebP, BMP or TIFF; the pixels stay as stored.

    ====================== ======================================================================
    transparency           composited onto white
    16 bits                see :func:`eight_bits`
    grey, palette, YCbCr,  become BGR
    CMYK JPEG
    JPEG of more than      decoded at 1/2, 1/4 or 1/8 of its size
    ``max_pixels``
    animation, many pages  the first one
    TIFF                   turned upright by libtiff; only RGB, grey, palettes and YCbCr of 8
                           bits, RGB and grey of 16, without transparency
    ====================== ======================================================================

    Raises:
        Unsupported: If the image is of another kind.
        ValueError: If it is damaged or cut off.
    """
    if content[:3] == b'\xff\xd8\xff':
        (height, width), orientation = _read_jpeg(content)
        factor = least_reduction(width, height, max_pixels)
        return Picture(_imdecode(content, REDUCED[factor] | STORED), (height, width), orientation)
    orientation, flags = 1, cv2.IMREAD_UNCHANGED
    if content.startswith(PNG):
        chunks = dict(_chunks(content, 8, 'big', extra=4))
        if b'IEND' not in chunks:
            raise ValueError('it is cut off')
        orientation = _orientation(chunks.get(b'eXIf', b''))
    elif content[:4] == b'RIFF' and content[8:12] == b'WEBP':
        end = 8 + int.from_bytes(content[4:8], 'little')
        exif = dict(_chunks(content[:end], 12, 'little')).get(b'EXIF', b'')
        orientation = _orientation(exif.removeprefix(b'Exif\0\0'))
    elif content[:4] in (b'II*\0', b'MM\0*'):
        flags = _tiff_flags(_tags(content))
    elif content[:2] != b'BM':
        raise Unsupported('only JPEG, PNG, WebP, BMP and TIFF are decoded by OpenCV')
    stored = _imdecode(content, flags)
    pixels = eight_bits(stored)
    if pixels.ndim == 2:
        if content.startswith(PNG) and b'tRNS' in chunks:
            pixels[stored == _transparent_grey(chunks)] = 255
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    pixels = on_white(pixels)
    return Picture(pixels, pixels.shape[:2], orientation)


def least_reduction(width: int, height: int, max_pixels: int) -> int:
    """By how much the sides of a JPEG are divided to have ``max_pixels``: 1, 2, 4 or at most 8."""
    return next((factor for factor in REDUCED if height * width / factor**2 <= max_pixels), 8)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """The upper 8 of the 8, 10, 12, 14 or 16 bits that the highest value of an image needs."""
    if pixels.dtype == np.uint8:
        return pixels
    unused = max(int(pixels.max()).bit_length() - 7, 1) // 2 * 2
    return (pixels >> unused).astype(np.uint8)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Composite uint8 pixels (h, w, 4), alpha last, onto white; others are returned unchanged."""
    if pixels.shape[2] < 4:
        return pixels
    color, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:].astype(np.uint16)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def upright(picture: Picture) -> Picture:
    """Turn and mirror a picture by its orientation."""
    turns, is_mirrored = {3: (2, False), 2: (0, True), 4: (2, True), 5: (1, True), 6: (3, False),
                          7: (3, True), 8: (1, False)}.get(picture.orientation, (0, False))
    pixels = np.rot90(picture.pixels[:, ::-1] if is_mirrored else picture.pixels, turns)
    shape = picture.shape[::-1] if turns % 2 else picture.shape
    return Picture(np.ascontiguousarray(pixels), shape)


def _imdecode(content, flags):
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise ValueError('its pixels cannot be decoded: it is damaged or cut off')
    return pixels


def _read_jpeg(content):
    """((H, W), orientation) from the segments before the first scan."""
    at, shape, exif = 2, None, b''
    while found := re.compile(rb'\xff+([^\x00\xff])', re.DOTALL).match(content, at):
        marker, at = found[1][0], found.end()
        size = int.from_bytes(content[at:at + 2], 'big')
        body = content[at + 2:at + size]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            shape = int.from_bytes(body[1:3], 'big'), int.from_bytes(body[3:5], 'big')
        elif marker == 0xE1 and body.startswith(b'Exif\0\0'):
            exif = exif or body[6:]
        elif marker == 0xDA:
            break
        at += size
    # some versions of OpenCV fill up what is missing with grey
    if not shape or content.find(b'\xff\xd9', at) < 0:
        raise ValueError('it is cut off')
    return shape, _orientation(exif)


def _chunks(content: bytes, at: int, order: Literal['big', 'little'],
            extra: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the chunks of a PNG, up to its end, or a WebP."""
    name = b''
    while name != b'IEND' and at + 8 <= len(content):
        first, second = content[at:at + 4], content[at + 4:at + 8]
        name, length = (second, first) if order == 'big' else (first, second)
        size = int.from_bytes(length, order)
        if at + 8 + size > len(content):
            raise ValueError('it is cut off')
        yield name, content[at + 8:at + 8 + size]
        at += 8 + size + (extra or size % 2)


def _tags(content: bytes) -> dict[int, list[int]]:
    """The whole numbers in the first directory of a TIFF, or of EXIF."""
    orders: dict[bytes, Literal['big', 'little']] = {b'II': 'little', b'MM': 'big'}
    order = orders.get(content[:2])
    if order is None:
        return {}

    def number(at, size):
        return int.from_bytes(content[at:at + size], order)

    tags, start = {}, number(4, 4)
    for at in range(start + 2, start + 2 + 12 * number(start, 2), 12):
        size, count = {1: 1, 3: 2, 4: 4}.get(number(at + 2, 2), 0), number(at + 4, 4)
        if size and count <= 8:
            values = at + 8 if size * count <= 4 else number(at + 8, 4)
            tags[number(at, 2)] = [number(values + i * size, size) for i in range(count)]
    return tags


def _orientation(exif):
    value, *_ = _tags(exif).get(ORIENTATION) or [1]
    return value if 1 <= value <= 8 else 1


def _tiff_flags(tags):
    """How OpenCV decodes a TIFF; what it decodes without its alpha or wrongly is unsupported."""
    bits = {*tags.get(BITS, [1])}
    kind, *_ = tags.get(PHOTOMETRIC) or [None]
    if EXTRA not in tags and tags.get(FORMAT, [1])[0] == 1:
        if bits <= {1, 8} and kind in (0, 1, 2, 3, 6):
            return cv2.IMREAD_COLOR | STORED
        if bits == {16} and kind in (1, 2):
            return cv2.IMREAD_UNCHANGED
    raise Unsupported('of TIFFs only RGB, grey and palettes of 8 bits, and RGB and grey of 16, '
                      'without transparency, are decoded by OpenCV')


def _transparent_grey(chunks):
    """The grey of a PNG that is transparent, which OpenCV ignores, as OpenCV decodes it."""
    key, bits = int.from_bytes(chunks[b'tRNS'][:2], 'big'), chunks[b'IHDR'][8]
    return key * 255 // (2**bits - 1) if bits < 8 else key
