"""The exchange of the context pool's contributions between two ranks."""

from benchmark_pool_exchange import measure_on_ranks

from .timing import Row

RANKS, CLASSES, BATCH = 2, (200, 1000, 21841), 6


def measure(steps: int) -> list[Row]:
    """Maps as they are ('gather') and sums by class ('dense'), medians of rank 0."""
    found = measure_on_ranks(RANKS, CLASSES, BATCH, steps)
    first = found[0]['exchange']
    return [Row(f'pool exchange, {RANKS} ranks', f'{row["num_classes"]:,} classes, {row["how"]}',
                row['exchange'] / first, 1000 * row['exchange'], 'ms') for row in found]
