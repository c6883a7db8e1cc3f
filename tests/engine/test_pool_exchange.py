import pytest

from cicam_mm.engine.pool_exchange import dense_is_smaller


@pytest.mark.parametrize(('rows', 'num_classes', 'dense'), [
    (48, 200, False),  # eight GPUs, batch 6 each
    (48, 6, True),  # the demo on two processes
    (398, 200, True), (397, 200, False),  # sums travel twice
])
def test_fewer_bytes(rows, num_classes, dense):
    """A map of 14 x 14 is 784 bytes and 8 for its class, a sum 784 and 4 for its count."""
    assert dense_is_smaller(rows, num_classes, 14 * 14) == dense
    assert (2 * num_classes * 788 < rows * 792) == dense
