"""Which runs a sweep consists of."""
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from cicam_mm.errors import UserError


@dataclass(frozen=True, eq=False)
class Run:
    """One training with its test.

    Attributes:
        method: Label of the config.
        config: Its path.
        options: Settings of the config and their values, as texts.
        seed: Of the training.
        folder: Where everything of the run is written.
    """
    method: str
    config: str
    options: Mapping[str, str]
    seed: int
    folder: Path

    @property
    def cell(self) -> str:
        """What all seeds share: method and options, in words."""
        options = (f'{key.rsplit(".", 1)[-1]}={value}' for key, value in self.options.items())
        return ', '.join([self.method, *options])

    @property
    def name(self) -> str:
        """Cell and seed, in words."""
        return f'{self.cell}, seed {self.seed}'


def plan_runs(methods: Mapping[str, str], grid: Mapping[str, Sequence[str]],
              seeds: Sequence[int], out: Path) -> list[Run]:
    """All methods with all values of all options and all seeds.

    Args:
        methods (Mapping[str, str]): The config of each method, by its label.
        grid (Mapping[str, Sequence[str]]): The values of each option.
        seeds (Sequence[int]): Of the trainings.
        out (Path): Folder of the sweep.

    Returns:
        list[Run]: Seed by seed, so that a sweep that is stopped has complete seeds.

    Raises:
        UserError: If two runs would share a folder.
    """
    runs = []
    for seed, method, values in product(seeds, methods, product(*grid.values())):
        options = dict(zip(grid, values, strict=True))
        parts = [method, *(f'{key}={value}' for key, value in options.items())]
        folder = out.joinpath(*(re.sub(r'[^\w.=+-]', '_', part) for part in parts))
        runs.append(Run(method, methods[method], options, seed, folder / f'seed_{seed}'))
    if len({run.folder for run in runs}) < len(runs):
        raise UserError('two runs of the sweep are the same; name each method, value and seed '
                        'once.')
    return runs
