"""Pictures of a patterned object in a textured context, drawn from a random generator.

Everything here is a pure function of its arguments and the generator. Colours are RGB in
[0, 255], fields are float32 arrays of shape (SIZE, SIZE) with values around [0, 1].
"""
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

SIZE = 96
OBJECT_SIZE = (32, 58)  # longer side of the object's box
CONTRAST = (0.1, 1)  # between the two inks; some patterns are nearly faded
#: How far objects are from the middle of the picture, or of the place of their class, as a share
#: of the possible distance.
PLACEMENTS = dict(anywhere=1., middle=0.2, by_class=0.2)

_Y, _X = np.mgrid[:SIZE, :SIZE].astype(np.float32)

# The two inks of an object; neither depends on the label.
DARK = np.array([(38, 50, 110), (120, 28, 48), (20, 84, 72), (84, 34, 112), (44, 44, 52),
                 (126, 62, 18)], np.float32)

LIGHT = np.array([(250, 240, 214), (250, 208, 84), (158, 214, 240), (250, 178, 188),
                  (176, 232, 176), (250, 250, 250)], np.float32)

# Contexts share their colours, so they differ in texture only.
MUTED = np.array([(70, 130, 175), (96, 150, 84), (200, 164, 110), (172, 90, 66), (140, 96, 60),
                  (110, 122, 140), (72, 142, 142), (138, 110, 160)], np.float32)

WHITE = np.array((255, 255, 255), np.float32)
PLASTER = np.array((235, 230, 222), np.float32)


class Scene(NamedTuple):
    """A picture (SIZE, SIZE, 3), RGB, uint8; the mask of its object, 1 on it; and the mask's
    bounding box x0, y0, x1, y1 with exclusive ends.
    """
    image: np.ndarray
    mask: np.ndarray
    box: tuple[int, int, int, int]


def draw_scene(pattern: str, context: str, rng: Generator, placement: str = 'anywhere') -> Scene:
    """Draw an object of random outline, covered by one of ``PATTERNS``, in one of ``CONTEXTS``.

    The object is drawn first: with equal generators, scenes that differ only in the context show
    the same object in the same place, and the placement changes only the place.
    """
    place = (0, 0)
    if placement == 'by_class':  # two rows of three
        row, column = divmod([*PATTERNS].index(pattern), 3)
        place = (0.4 * (column - 1), 0.8 * (row - 0.5))
    alpha = draw_outline(rng, placement, place)
    body = draw_body(pattern, rng, rng.uniform(*CONTRAST))
    shadow = cv2.GaussianBlur(cv2.warpAffine(alpha, np.float32([[1, 0, 2], [0, 1, 3]]),
                                             (SIZE, SIZE)), (0, 0), 2.5)
    background = CONTEXTS[context](rng) * (1 - 0.4 * shadow[..., None])
    image = background + alpha[..., None] * (body - background)

    mask = (alpha >= 0.5).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    return Scene(np.clip(image, 0, 255).astype(np.uint8), mask, (x, y, x + width, y + height))


def draw_outline(rng: Generator, placement: str = 'anywhere',
                 place: tuple[float, float] = (0., 0.)) -> np.ndarray:
    """A smooth-edged silhouette of random kind, angle, size and place: opacity in [0, 1].

    It lies around ``place``, x and y from the middle as shares of the room, each in [-0.5, 0.5].
    """
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = OUTLINES[rng.integers(len(OUTLINES))](angle)
    angle = angle + rng.uniform(0, 2 * np.pi)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    points -= points.min(axis=0)
    points *= rng.uniform(*OBJECT_SIZE) / points.max()
    room, spread = SIZE - 4 - points.max(axis=0), PLACEMENTS[placement]
    points += (SIZE - points.max(axis=0)) / 2 + room * (place + spread * (rng.random(2) - 0.5))
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255


def _polygon(corners: int):
    """Radius of a regular polygon as a function of the angle."""
    sector = 2 * np.pi / corners
    return lambda angle: 1 / np.cos(angle % sector - sector / 2)


OUTLINES = (
    np.ones_like,                                # disc
    _polygon(3),
    _polygon(4),
    _polygon(6),
    lambda angle: 1 + 0.28 * np.cos(5 * angle),  # flower
    lambda angle: 1 + 0.35 * np.cos(2 * angle),  # peanut
    lambda angle: 0.75 + 0.55 * np.abs(np.arcsin(np.cos(2.5 * angle))) / np.pi * 2,  # star
)


def draw_body(pattern: str, rng: Generator, contrast: float = 1.) -> np.ndarray:
    """A surface of one pattern in two random colours, lit from the upper left: (SIZE, SIZE, 3)."""
    period, draw = PATTERNS[pattern]
    period *= rng.uniform(0.85, 1.15)
    turn = rng.uniform(-0.3, 0.3)
    u = (np.cos(turn) * _X + np.sin(turn) * _Y) / period + rng.uniform()
    v = (np.cos(turn) * _Y - np.sin(turn) * _X) / period + rng.uniform()
    dark, ground = DARK[rng.integers(len(DARK))], LIGHT[rng.integers(len(LIGHT))]
    ink = contrast * np.clip(draw(u, v) * period + 0.5, 0, 1)  # an edge one pixel wide
    light = 1.1 - 0.2 * (_X + _Y) / (2 * SIZE)
    return mix(ground, dark, ink) * light[..., None]


def _cell(u):
    """Distance along one axis from the centre of the unit cell, in [-0.5, 0.5)."""
    return u - np.floor(u) - 0.5


def _wave(u):
    """Triangle wave of period 1 and slope 1, in [-0.25, 0.25]."""
    return np.abs(_cell(u)) - 0.25


# Name: (period in pixels, signed distance to the ink in units of the period).
PATTERNS = dict(
    striped=(8, lambda u, v: _wave(u)),
    checked=(14, lambda u, v: np.sign(_wave(u) * _wave(v))
             * np.minimum(np.abs(_wave(u)), np.abs(_wave(v)))),
    dotted=(10, lambda u, v: 0.32 - np.hypot(_cell(u), _cell(v))),
    ringed=(14, lambda u, v: 0.11 - np.abs(np.hypot(_cell(u), _cell(v)) - 0.32)),
    zigzag=(9, lambda u, v: _wave(u + 1.6 * np.abs(_cell(v / 1.6)))),
    crossed=(13, lambda u, v: np.maximum(
        np.minimum(0.12 - np.abs(_cell(u)), 0.4 - np.abs(_cell(v))),
        np.minimum(0.12 - np.abs(_cell(v)), 0.4 - np.abs(_cell(u))))),
)


def mix(first: np.ndarray, second: np.ndarray, field: np.ndarray) -> np.ndarray:
    """The first colour where the field is 0, the second where it is 1: (SIZE, SIZE, 3)."""
    return first + field[..., None] * (second - first)


def tones(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a light tone of one muted colour; all contexts share these colours."""
    shade = MUTED[rng.integers(len(MUTED))] * rng.uniform(0.9, 1.1) + rng.uniform(-10, 10, 3)
    return (0.8 * shade).astype(np.float32), (0.75 * shade + 60).astype(np.float32)


def noise(rows: int, columns: int, rng: Generator) -> np.ndarray:
    """Smooth noise with the given number of bumps vertically and horizontally."""
    grid = rng.random((rows + 2, columns + 2), np.float32)
    return cv2.resize(grid, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def clouds(rng: Generator) -> np.ndarray:
    dark, light = tones(rng)
    field = sum(noise(2**k, 2**k, rng) / 2**k for k in (1, 2, 3, 4))
    cover = np.clip((field - 0.42) * 3, 0, 1)
    sky = mix(dark, light, 0.25 + 0.75 * _Y / SIZE)
    return mix(sky, mix(light, WHITE, field), cover)


def water(rng: Generator) -> np.ndarray:
    swell = 1.6 * noise(9, 3, rng)
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * (_Y / rng.uniform(9, 13) + swell))
    return mix(*tones(rng), ripples**2 * (0.35 + 0.65 * noise(10, 6, rng)))


def grass(rng: Generator) -> np.ndarray:
    blades = noise(8, 48, rng)
    lean = np.float32([[1, rng.uniform(-0.4, 0.4), 0], [0, 1, 0]])
    blades = cv2.warpAffine(blades, lean, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
    return mix(*tones(rng), 0.75 * blades + 0.35 * noise(3, 3, rng) - 0.05)


def sand(rng: Generator) -> np.ndarray:
    dunes = np.sin(2 * np.pi * (_Y / rng.uniform(18, 28) + 1.2 * noise(2, 2, rng)))
    return mix(*tones(rng), 0.5 + 0.3 * dunes + 0.4 * (noise(94, 94, rng) - 0.5))


def bricks(rng: Generator) -> np.ndarray:
    height, width = rng.uniform(10, 13), rng.uniform(22, 28)
    row = _Y / height + rng.uniform()
    column = _X / width + rng.uniform() + 0.5 * (np.floor(row) % 2)
    gap = np.minimum((0.5 - np.abs(_cell(row))) * height, (0.5 - np.abs(_cell(column))) * width)
    shade = rng.random((16, 8), np.float32)[row.astype(int), column.astype(int)]
    dark, light = tones(rng)
    brick = mix(dark, light, 0.5 * shade + 0.3 * noise(40, 40, rng) - 0.1)
    return mix(0.6 * light + 0.4 * PLASTER, brick, np.clip(gap - 0.6, 0, 1))


def wood(rng: Generator) -> np.ndarray:
    plank = _X / rng.uniform(26, 36) + rng.uniform()
    tone = rng.random(8, np.float32)[plank.astype(int)]
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (_X / 9 + 2.2 * noise(2, 8, rng) + 4 * tone))
    gap = np.clip(3 - 60 * (0.5 - np.abs(_cell(plank))), 0, 1)
    return mix(*tones(rng), 0.45 * grain + 0.35 * tone + 0.2 * noise(6, 48, rng) - 0.6 * gap)


CONTEXTS = dict(water=water, grass=grass, sand=sand, bricks=bricks, clouds=clouds, wood=wood)
