"""``indices`` of a data set, checked."""
from collections.abc import Sequence

from cicam_mm.errors import UserError


class CheckedSubset:
    """Mixin of mmengine's ``BaseDataset``: an error for ``indices`` beyond the data set, or none.

    By itself it takes an int beyond the end for all images; a list beyond it and one without
    images end in errors that do not name the data set.
    """

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> list[dict]:
        size = len(self.data_list)
        if isinstance(indices, int):  # the first ones, or the last ones if negative
            if abs(indices) > size:
                raise UserError(f'indices={indices} asks for {abs(indices)} images of '
                                f'{type(self).__name__}, which has {size}.')
        elif beyond := [index for index in indices if not -size <= index < size]:
            raise UserError(f'indices name image {beyond[0]} ({len(beyond)} such in all), but '
                            f'{type(self).__name__} has {size}, counted from 0.')
        if not (chosen := super()._get_unserialized_subset(indices)):
            raise UserError(f'indices={indices} leave no image of {type(self).__name__}.')
        return chosen
