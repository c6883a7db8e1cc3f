"""JSON in which all numbers are finite."""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UserError
from .files import read_text


def to_json(content: Any, **options) -> str:
    """JSON text, in which all numbers must be finite.

    Args:
        content (Any): The content.
        **options: Arguments of ``json.dumps``.

    Raises:
        UserError: If a number is not finite; the message names its keys.
    """
    try:
        return json.dumps(content, allow_nan=False, **options)
    except ValueError as error:
        if not str(error).startswith('Out of range'):
            raise
        place = _not_finite(content) or ()  # what options turn into a number is not looked at
        raise UserError(f'{" of ".join(place) or "a number"} is not finite, so nothing was '
                        'written; check the weights and images that it comes from.') from None


def _not_finite(content):
    """Keys of the first number that is not finite, innermost key first, or None."""
    if isinstance(content, (float, np.floating)):
        return None if math.isfinite(content) else []
    items = content.items() if isinstance(content, dict) else (
        enumerate(content) if isinstance(content, (list, tuple)) else ())
    for key, value in items:
        if _not_finite(key) is not None:
            return ['a key']
        if (place := _not_finite(value)) is not None:
            return [*place, str(key)]
    return None


def read_json_mapping(path: str | Path) -> dict:
    """The mapping in a JSON file.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is damaged, holds no mapping, or a number is not finite; the message names
            it.
    """
    text = read_text(path)
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged ({error}); create it again.') from None
    if not isinstance(content, dict):
        raise UserError(f'{path} is damaged (it holds no mapping); create it again.')
    return content


def _refuse(name):
    raise UserError(f'{name} is not a number')
