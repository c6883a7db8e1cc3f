"""Progress of long jobs, printed as lines, which suit the log of a cluster."""
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')


def with_progress(items: Iterable[Item], describe: Callable[[int], str],
                  seconds: float) -> Iterator[Item]:
    """Yield items, and print a line from time to time.

    Args:
        items (Iterable): The items.
        describe (Callable): Returns the line for the number of finished items.
        seconds (float): Minimum time between two lines.
    """
    printed = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - printed > seconds:
            print(describe(number), flush=True)
            printed = time.monotonic()
        yield item
