import json

import numpy as np
import pytest

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import to_json


class Unknown:

    def __float__(self):
        return float('nan')


def test_json_holds_finite_numbers_only():
    content = dict(a=[1, 2.5, None, 'x'], b=dict(c=(True, 1e300)))
    assert json.loads(to_json(content, indent=2)) == dict(a=[1, 2.5, None, 'x'],
                                                          b=dict(c=[True, 1e300]))
    for content, place in ((float('nan'), 'a number'), (dict(loss=np.float64('nan')), 'loss'),
                           (dict(a=[0., {'b': -np.inf}]), 'b of 1 of a')):
        with pytest.raises(UserError, match=f'^{place} is not finite, so nothing was written'):
            to_json(content)
    # a key, and what an option turns into a number
    for content, place in ((dict(a={float('inf'): 1}), 'a key of a'),
                           (dict(a=[1, np.float32('nan')]), '1 of a'),
                           (dict(a=Unknown()), 'a number')):
        with pytest.raises(UserError, match=f'^{place} is not finite, so nothing was written'):
            to_json(content, default=float)
    with pytest.raises(ValueError, match='Circular'):
        content = []
        content.append(content)
        to_json(content)
