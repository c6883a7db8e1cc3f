"""A rank that hangs is named."""
import os
import sys
import threading
import time
from datetime import timedelta

import torch.distributed as dist
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from cicam_mm.errors import UserError

KEY = 'cicam_mm/rank_watch'


@HOOKS.register_module()
class RankWatchHook(Hook):
    """Ends a distributed run in which a rank is silent or stays behind, and names that rank.

    A rank that was stopped, or whose machine is gone, leaves the others waiting inside a
    collective operation, whose own timeout names nobody. So every rank tells where it is, from a
    thread, and listens to the others, through the store in which torch.distributed has started.
    The first to miss a rank for longer than ``timeout`` says so on the console, records it for
    the launcher, and leaves with exit code 1.

    Args:
        timeout (float): Seconds without a sign, or at an earlier step than the others. Defaults
            to 480; :func:`prepare_config` sets it below the timeout of collective operations,
            ``env_cfg.dist_cfg.timeout``.
    """

    priority = 'VERY_HIGH'

    def __init__(self, timeout: float = 480):
        self.timeout = timeout
        self._step, self._told = 0, 'before its first step'
        self._ended = threading.Event()

    def before_run(self, runner) -> None:
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return
        self._ended = threading.Event()
        self._signs = {}  # of each rank: its sign, when it changed; its step, when that changed
        self._heard = time.monotonic()
        for work in (self._tell_and_listen, self._judge):
            threading.Thread(target=work, args=(self._ended, ), daemon=True).start()

    def after_run(self, runner) -> None:
        self._ended.set()

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        self._move(f'at training iteration {runner.iter + 1}')

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._move(f'after training iteration {runner.iter + 1}')

    def before_val_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        self._move(f'at validation batch {batch_idx + 1}')

    def before_test_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        self._move(f'at test batch {batch_idx + 1}')

    def _move(self, where):
        self._step, self._told = self._step + 1, where

    def _tell_and_listen(self, ended):
        rank, others = dist.get_rank(), dist.get_world_size()
        keys = [f'{KEY}/{number}' for number in range(others)]
        try:
            # a connection of its own: the other one may be busy in a collective operation
            store = dist.TCPStore(
                os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), is_master=False,
                wait_for_workers=False, timeout=timedelta(seconds=self.timeout))
            number = 0
            while not ended.wait(self._interval):
                number += 1
                store.set(keys[rank], f'{number}|{self._step}|{self._told}')
                for other, key in enumerate(keys):
                    if other != rank and store.check([key]):
                        self._listen(other, store.get(key).decode())
                self._heard = time.monotonic()
            store.set(keys[rank], 'ended')
        except RuntimeError:  # the process with the store has left
            ended.set()

    def _listen(self, rank, sign):
        now = time.monotonic()
        last, at, step, since = self._signs.get(rank, (None, now, None, now))
        if sign != last:
            at = now
        if sign.split('|')[1:] != step:
            step, since = sign.split('|')[1:], now
        self._signs[rank] = sign, at, step, since

    def _judge(self, ended):
        while not ended.wait(self._interval):
            now = time.monotonic()
            if now - self._heard > self.timeout:
                self._leave('rank 0, which holds the store of the job, has given no sign for '
                            f'{now - self._heard:.0f} s')
            for rank, (sign, at, step, since) in list(self._signs.items()):
                if sign == 'ended':
                    continue
                if now - at > self.timeout:
                    self._leave(f'rank {rank} has given no sign for {now - at:.0f} s; it was last '
                                f'seen {step[1]}')
                if now - since > self.timeout and int(step[0]) < self._step:
                    self._leave(f'rank {rank} has been {step[1]} for {now - since:.0f} s, while '
                                f'rank {dist.get_rank()} is {self._told}')

    @property
    def _interval(self):
        return min(10, self.timeout / 15)

    def _leave(self, what):
        error = UserError(f'{what}; look at its machine, and go on with --resume.')
        get_error_handler().record_exception(error)
        print(f'error: {error}', file=sys.stderr, flush=True)
        os._exit(1)  # the main thread waits in an operation that does not end
