"""Reading data samples, with errors that name the image."""
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from .errors import UserError


@contextmanager
def naming_the_image(sample: Mapping) -> Iterator[None]:
    """Prefix the message of a ValueError with the name of the image."""
    try:
        yield
    except ValueError as error:
        raise UserError(f'{image_name(sample)}: {error}') from error


def image_name(sample: Mapping) -> str:
    """The path of a data sample's image or, without one, its index in the data set."""
    return str(sample.get('img_path') or f'image {sample.get("sample_idx")}')


def read_field(sample: Mapping, name: str) -> np.ndarray:
    """A field of a data sample as a NumPy array; a UserError if it lacks the field."""
    if sample.get(name) is None:
        raise UserError(
            f'the data sample has no {name!r}; ground truth comes from the test pipeline '
            '(PackInputs with algorithm_keys), maps and boxes from a head with a localizer.')
    return torch.as_tensor(sample[name]).cpu().numpy()
