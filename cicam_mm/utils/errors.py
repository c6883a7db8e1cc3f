"""Errors that users can fix, reported in one sentence."""
import pickle
import re
from inspect import signature
from itertools import pairwise
from traceback import walk_tb
from typing import get_args

import torch


class UserError(ValueError):
    """A mistake in what the user provides: files, settings, arguments.

    The message says in one sentence what is wrong, where, and what to do about it. Command lines
    print it without a traceback.
    """


def check_choices(kind: type, **values) -> None:
    """Refuse values that the ``Literal`` annotations of a class's constructor do not name.

    Configs are checked before anything is built; this is for what is built in Python.
    """
    for name, value in values.items():
        known = get_args(signature(kind).parameters[name].annotation)
        if value not in known:
            raise UserError(f'unknown {name} {value!r}; known are {", ".join(map(repr, known))}.')


def as_sentence(error: Exception) -> str | None:
    """The line to show a user in place of a traceback; None for an unexpected error."""
    text = message_of(error)
    if match := re.match(r'Caught \w+ in DataLoader worker', text):
        text = text.rstrip().rsplit('\n', 1)[-1].partition(': ')[2]  # after a traceback
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        text = 'the device ran out of memory; use smaller batches or images.'
    elif isinstance(error, MemoryError):
        text = 'this machine ran out of memory; use smaller batches or images.'
    elif 'Timed out waiting' in text:  # gloo
        text = ('another rank has not responded in time; check the logs of all ranks, and '
                'continue with --resume.')
    elif re.match(r'DataLoader worker \(pid', text):  # torch names only the signal
        text = ('a process that reads images was killed, as when this machine runs out of '
                'memory; use smaller batches or images, or fewer num_workers.')
    elif isinstance(error, OSError) and error.filename is not None and not match:
        text = f'{error.filename}: {error.strerror}'
    elif not isinstance(error, (UserError, OSError, pickle.UnpicklingError, FloatingPointError)):
        if (place := _built(error)) is None:
            return None
        text = f'{place}: {text}'.removeprefix(': ')
    return printable(' '.join(text.split('\n')))


def printable(text: str) -> str:
    """``text`` with control characters, line breaks and invalid characters escaped."""
    return ''.join(char if char.isprintable() else char.encode('unicode_escape').decode()
                   for char in text)


def message_of(error: BaseException) -> str:
    """The message of an error, or its kind if it has none."""
    if isinstance(error, KeyError) and error.args:  # str() would quote it
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _built(error):
    """What a config described, if building that failed; '' if it was not even called."""
    codes = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
    builders = 'build_from_cfg', 'build_dataloader'
    called = [inner for outer, inner in pairwise(codes) if outer.co_name in builders]
    if called:
        name = getattr(called[-1], 'co_qualname', called[-1].co_name)  # new in Python 3.11
        return name.removesuffix('.__init__')
    return '' if codes and codes[-1].co_name in builders else None
