import sys

import pytest
import torch.distributed as dist
from rank import ROOT


def measure():
    sys.path.append(str(ROOT / 'tools'))
    from benchmark_pool_exchange import measure_exchange

    dist.init_process_group('gloo')
    return measure_exchange([50], batch_size=6, steps=3)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads counters of Linux')
def test_bytes_are_those_of_the_maps(run_ranks):
    """Six maps of 784 bytes with their classes, or the sums of 50 classes; and some headers."""
    for gathered, dense in run_ranks(measure, 2):
        assert (gathered['how'], dense['how']) == ('gather', 'dense')
        assert 6 * (784 + 8) < gathered['bytes'] < 6 * (784 + 8) + 1500
        assert 50 * 788 < dense['bytes'] < 50 * 788 + 1500
