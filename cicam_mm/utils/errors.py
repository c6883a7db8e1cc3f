"""Errors that users can fix, reported in one sentence."""
import pickle
import re
from traceback import walk_tb

import torch


class UserError(ValueError):
    """A mistake in what the user provides: files, settings, arguments.

    The message says in one sentence what is wrong, where, and what to do about it. Command lines
    print it without a traceback.
    """


def as_sentence(error: Exception) -> str | None:
    """The message to show a user in place of a traceback.

    Args:
        error (Exception): Caught from a run, with its traceback.

    Returns:
        str | None: One line of printable characters; None for an unexpected error, which needs
        its traceback.
    """
    text = _text(error)
    if match := re.match(r'Caught \w+ in DataLoader worker', text):
        text = text.rstrip().rsplit('\n', 1)[-1].partition(': ')[2]  # after a traceback
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        text = 'the device ran out of memory; use smaller batches or images.'
    elif isinstance(error, MemoryError):
        text = 'this machine ran out of memory; use smaller batches or images.'
    elif isinstance(error, OSError) and error.filename is not None and not match:
        text = f'{error.filename}: {error.strerror}'
    elif isinstance(error, (UserError, OSError, pickle.UnpicklingError)):
        pass
    elif name := _built_type(error):
        text = f'{name}: {text}'
    else:
        return None
    return printable(' '.join(text.split('\n')))


def printable(text: str) -> str:
    """``text`` with control characters, line breaks and invalid characters escaped."""
    return ''.join(char if char.isprintable() else char.encode('unicode_escape').decode()
                   for char in text)


def _text(error):
    if isinstance(error, KeyError) and error.args:  # str() would quote it
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _built_type(error):
    """Name of the type whose construction from a config failed."""
    if not isinstance(error, (AssertionError, AttributeError, ImportError, LookupError, TypeError,
                              ValueError)):
        return None
    names = [frame.f_locals.get('obj_type') or frame.f_locals['cfg'].get('type')
             for frame, _ in walk_tb(error.__traceback__)
             if frame.f_code.co_name == 'build_from_cfg']
    return names and str(getattr(names[-1], '__name__', names[-1]))
