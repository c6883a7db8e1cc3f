"""Ranks for the tests: processes that can join one gloo group, as torchrun starts them.

They are forked from a server that has imported everything, so they start at once.
"""
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))
from rank import run_rank  # noqa: E402


@pytest.fixture(scope='session')
def run_ranks(forkserver, tmp_path_factory):
    """Runs a function on ranks; gives what it returned on each, None where a rank died."""

    def run_ranks(function, world_size, *args, timeout=180):
        store = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
        folder = tmp_path_factory.mktemp('ranks')
        job = dict(WORLD_SIZE=str(world_size), MASTER_ADDR='127.0.0.1',
                   MASTER_PORT=str(store.port), TORCHELASTIC_USE_AGENT_STORE='True')
        ranks = []
        for rank in map(str, range(world_size)):
            ranks.append(forkserver.Process(target=run_rank, args=(
                function.__code__.co_filename, function.__name__, args, folder,
                job | dict(RANK=rank, LOCAL_RANK=rank))))
            ranks[-1].start()
        deadline = time.monotonic() + timeout
        for rank in ranks:
            rank.join(max(0, deadline - time.monotonic()))
        hanging = [rank for rank in ranks if rank.is_alive()]
        for rank in hanging:
            rank.kill()
        assert not hanging, f'{len(hanging)} of {world_size} ranks hang after {timeout} s'
        files = [folder / f'{rank}.pt' for rank in range(world_size)]
        return [torch.load(path) if path.is_file() else None for path in files]

    return run_ranks
