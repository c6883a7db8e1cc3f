"""Detection of ranks that hang."""
import os
import sys
import threading
import time
from datetime import timedelta

import torch.distributed as dist
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from cicam_mm.utils.errors import UserError

KEY = 'cicam_mm/rank_watch'


@HOOKS.register_module()
class RankWatchHook(Hook):
    """Ends a distributed run in which a rank hangs or falls behind, and names that rank.

    If a rank was stopped or lost its machine, the others wait inside a collective operation, whose
    own timeout does not say for whom. So a thread of every rank sends heartbeats with its progress
    and reads those of the others, through the store that torch.distributed was initialized with.
    The first rank to miss another for longer than ``timeout`` prints that, records it for the
    launcher, and exits with code 1.

    Args:
        timeout (float): Seconds without a heartbeat, or at an earlier step than the others.
            Defaults to 480; :func:`prepare_config` sets it below the timeout of collective
            operations, ``env_cfg.dist_cfg.timeout``.
    """

    priority = 'VERY_HIGH'

    def __init__(self, timeout: float = 480):
        self.timeout = timeout
        self._step, self._position = 0, 'before its first step'
        self._ended = threading.Event()

    def before_run(self, runner) -> None:
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return
        self._ended = threading.Event()
        # for each rank: its heartbeat, when that changed, its progress, when that changed
        self._heartbeats = {}
        self._last_contact = time.monotonic()
        for work in (self._exchange_heartbeats, self._watch):
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
        self._step, self._position = self._step + 1, where

    def _exchange_heartbeats(self, ended):
        rank = dist.get_rank()
        keys = [f'{KEY}/{number}' for number in range(dist.get_world_size())]
        try:
            # a separate connection: the main one may be busy in a collective operation
            store = dist.TCPStore(
                os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), is_master=False,
                wait_for_workers=False, timeout=timedelta(seconds=self.timeout))
            number = 0
            while not ended.wait(self._interval):
                number += 1
                store.set(keys[rank], f'{number}|{self._step}|{self._position}')
                for other, key in enumerate(keys):
                    if other != rank and store.check([key]):
                        self._receive(other, store.get(key).decode())
                self._last_contact = time.monotonic()
            store.set(keys[rank], 'ended')
        except RuntimeError:  # the process that holds the store has exited
            ended.set()

    def _receive(self, rank, heartbeat):
        now = time.monotonic()
        last, at, progress, since = self._heartbeats.get(rank, (None, now, None, now))
        if heartbeat != last:
            at = now
        if heartbeat.split('|')[1:] != progress:
            progress, since = heartbeat.split('|')[1:], now
        self._heartbeats[rank] = heartbeat, at, progress, since

    def _watch(self, ended):
        while not ended.wait(self._interval):
            now = time.monotonic()
            if now - self._last_contact > self.timeout:
                self._exit('rank 0, which holds the store of the job, has not responded for '
                           f'{now - self._last_contact:.0f} s')
            for rank, (heartbeat, at, progress, since) in list(self._heartbeats.items()):
                if heartbeat == 'ended':
                    continue
                step, position = progress
                if now - at > self.timeout:
                    self._exit(f'rank {rank} has not responded for {now - at:.0f} s; it was last '
                               f'seen {position}')
                if now - since > self.timeout and int(step) < self._step:
                    self._exit(f'rank {rank} has been stuck {position} for {now - since:.0f} s, '
                               f'while rank {dist.get_rank()} is {self._position}')

    @property
    def _interval(self):
        return min(10, self.timeout / 15)

    def _exit(self, what):
        error = UserError(f'{what}; check its machine, and continue with --resume.')
        get_error_handler().record_exception(error)
        print(f'error: {error}', file=sys.stderr, flush=True)
        os._exit(1)  # the main thread is stuck in a collective operation
