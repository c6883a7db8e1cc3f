"""Measure what the exchange of the context pool sends, and its share of a training step:
``python tools/benchmark_pool_exchange.py``.

One process for each rank, with gloo over loopback. Bytes are those the kernel counts as sent on
the sockets of rank 0, headers aside (Linux only).
"""

import argparse
import os
import socket
import stat
import struct
from collections.abc import Sequence
from contextlib import suppress
from statistics import median
from time import perf_counter

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn.parallel import DistributedDataParallel

from cicam_mm.engine.pool_exchange import exchange_contributions

SIZE, SIDE = (14, 14), 224
TCP_BYTES_SENT = 200  # where struct tcp_info of linux/tcp.h has tcpi_bytes_sent
NAMES = ('bytes', 'exchange', 'update')


def measure_exchange(classes: Sequence[int],
                     batch_size: int = 6,
                     steps: int = 20,
                     training_steps: int = 0) -> list[dict]:
    """Run the exchange alone, and training steps beside it, on this rank of a gloo group.

    Args:
        classes (Sequence[int]): Numbers of classes to measure.
        batch_size (int): Images of each rank. Defaults to 6.
        steps (int): Exchanges that are measured. Defaults to 20.
        training_steps (int): Steps of CI-CAM on VGG16 that are measured, without the pool's
            update; many seconds each on a CPU. Defaults to 0.

    Returns:
        list[dict]: For each number of classes and each way ('gather', 'dense') the medians of
        ``bytes`` sent by this rank, and of the seconds of ``exchange``, ``update`` (Eq. 7 on all
        rows) and ``step`` (None where not measured).
    """
    found = []
    for num_classes in classes:
        step = training_steps and time_training(num_classes, batch_size, training_steps)
        for how in ('gather', 'dense'):
            measured = _exchange(num_classes, batch_size, how, steps)
            medians = map(median, zip(*measured, strict=True))
            found.append(dict(zip(NAMES, medians, strict=True),
                              num_classes=num_classes, how=how, step=step or None))
    return found


def measure_on_ranks(world_size: int, *args) -> list[dict]:
    """:func:`measure_exchange` on ranks of this machine; what rank 0 has found."""
    store = dist.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    results = multiprocessing.get_context('spawn').SimpleQueue()
    multiprocessing.spawn(_run_rank, (world_size, store.port, results, args), nprocs=world_size)
    return results.get()


def _run_rank(rank, world_size, port, results, args):
    torch.set_num_threads(1)
    store = dist.TCPStore('127.0.0.1', port)
    dist.init_process_group('gloo', store=store, rank=rank, world_size=world_size)
    found = measure_exchange(*args)
    if rank == 0:
        results.put(found)
    dist.destroy_process_group()


def _exchange(num_classes, batch_size, how, steps):
    pool = MODELS.build(
        dict(type='CausalContextPool', num_classes=num_classes, channels=1, size=SIZE))
    for step in range(-1, steps):
        classes, maps = torch.randint(num_classes, (batch_size, )), torch.randn(batch_size, *SIZE)
        dist.barrier()
        sent, start = bytes_sent(), perf_counter()
        contributions = exchange_contributions(classes, maps, num_classes, how)
        exchanged, sent = perf_counter(), bytes_sent() - sent
        pool.update(*contributions)
        if step >= 0:
            yield sent, exchanged - start, perf_counter() - exchanged


def time_training(num_classes: int, batch_size: int, steps: int) -> float:
    """Median seconds of a training step of CI-CAM on VGG16, behind one that is not measured."""
    model = DistributedDataParallel(MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG'),
        head=dict(type='DualCAMHead', num_classes=num_classes, in_channels=512))))
    model.module.head.pool.has_updater = True
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    images = torch.randn(batch_size, 3, SIDE, SIDE)
    samples = [DataSample().set_gt_label(0) for _ in images]
    seconds = []
    for _ in range(1 + steps):
        start = perf_counter()
        optimizer.zero_grad()
        sum(model(images, samples, mode='loss').values()).backward()
        optimizer.step()
        seconds.append(perf_counter() - start)
    return median(seconds[1:])


def bytes_sent() -> int:
    """Bytes sent so far on the TCP connections of this process."""
    total = 0
    for file in map(int, os.listdir('/proc/self/fd')):
        with suppress(OSError):  # the listing itself, and sockets other than TCP
            if stat.S_ISSOCK(os.fstat(file).st_mode):
                with socket.socket(fileno=os.dup(file)) as connection:
                    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                total += struct.unpack_from('Q', info, TCP_BYTES_SENT)[0]
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--classes', type=int, nargs='+', default=[200, 1000, 21841])
    parser.add_argument('--ranks', type=int, default=2)
    parser.add_argument('--batch-size', type=int, default=6, help='images of each rank')
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--training-steps', type=int, default=0,
                        help='also time this many steps of CI-CAM on VGG16, for the share')
    args = parser.parse_args()
    print('| classes | way | bytes a rank sends | exchange, ms | its share | update, ms |')
    print('|---|---|---|---|---|---|')
    for row in measure_on_ranks(
            args.ranks, args.classes, args.batch_size, args.steps, args.training_steps):
        share = row['step'] and f'{100 * row["exchange"] / row["step"]:.2f} %'
        print(f'| {row["num_classes"]:,} | {row["how"]} | {row["bytes"]:,.0f} '
              f'| {1000 * row["exchange"]:.2f} | {share or "-"} | {1000 * row["update"]:.2f} |')


if __name__ == '__main__':
    main()
