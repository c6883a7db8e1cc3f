"""The runs of a sweep."""
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
        method: Name of the method.
        config: Path of its config.
        options: Settings that override the config, and their values, as texts.
        seed: Seed of the training.
        folder: Folder of the run.
    """
    method: str
    config: str
    options: Mapping[str, str]
    seed: int
    folder: Path

    @property
    def cell(self) -> str:
        """Name of the table cell that all seeds share: method and options."""
        options = (f'{key.rsplit(".", 1)[-1]}={value}' for key, value in self.options.items())
        return ', '.join([self.method, *options])

    @property
    def name(self) -> str:
        """Name of the run: cell and seed."""
        return f'{self.cell}, seed {self.seed}'


def plan_runs(methods: Mapping[str, str], grid: Mapping[str, Sequence[str]],
              seeds: Sequence[int], out: Path) -> list[Run]:
    """Combine all methods, option values and seeds.

    Args:
        methods (Mapping[str, str]): Path of the config of each method.
        grid (Mapping[str, Sequence[str]]): Values of each option.
        seeds (Sequence[int]): Seeds of the trainings.
        out (Path): Folder of the sweep.

    Returns:
        list[Run]: The runs, seed by seed, so that an interrupted sweep has complete seeds.

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
        raise UserError('two runs of the sweep are the same; give each method, value and seed '
                        'only once.')
    return runs
