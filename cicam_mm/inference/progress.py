"""How far a long job is, also in the log of a cluster, where no bar can be drawn."""
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')


def with_progress(items: Iterable[Item], describe: Callable[[int], str],
                  seconds: float) -> Iterator[Item]:
    """Hand on items, and print a line now and then.

    Args:
        items (Iterable): The items.
        describe (Callable): The line, of the number of items that are done.
        seconds (float): Time between two lines.
    """
    printed = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - printed > seconds:
            print(describe(number), flush=True)
            printed = time.monotonic()
        yield item
