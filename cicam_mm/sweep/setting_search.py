"""Searching the best values of settings with optuna."""
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from cicam_mm.utils.errors import UserError

from .runs import Run, plan_runs, read_result

#: The metric on held-out images that is maximized.
OBJECTIVE = 'val/gt_known_loc'


class Range(NamedTuple):
    """Values of a setting: integers if both bounds are, else to four digits.

    The scale is logarithmic if the bounds are positive and at least a factor of ten apart.
    """
    low: float
    high: float

    @classmethod
    def parse(cls, key: str, low: str, high: str) -> 'Range':
        """The range that the texts of ``--search KEY LOW HIGH`` give."""
        try:
            kind = float if {*'.e'} & {*(low + high).lower()} else int
            bounds = cls(kind(low), kind(high))
        except ValueError:
            raise UserError(f'--search {key} takes two numbers, not {low} and {high}') from None
        if not bounds.low < bounds.high < float('inf'):
            raise UserError(f'--search {key} needs LOW below HIGH, not {low} and {high}')
        return bounds

    def distribution(self):
        from optuna.distributions import FloatDistribution, IntDistribution

        kind = IntDistribution if isinstance(self.low, int) else FloatDistribution
        return kind(self.low, self.high, log=0 < 10 * self.low <= self.high)


class SettingSearch:
    """Trials of one method, ``count`` with those that the file of an earlier start holds."""

    def __init__(self, path: Path, name: str, ranges: Mapping[str, Range], count: int):
        try:
            import optuna
        except ImportError:
            raise UserError("--search needs optuna: `pip install 'cicam_mm[search]'`") from None
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(logging.WARNING)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._sampler = optuna.samplers.TPESampler
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))), study_name=name,
            direction='maximize', load_if_exists=True)
        self._ranges, self._left = ranges, count - len(self._study.trials)
        self._earlier = [trial for trial in self._study.trials
                         if trial.params.keys() == ranges.keys()]

    def next_trials(self, most: int) -> dict[int, dict[str, str]]:
        """Settings of the next trials by number, as texts; at first all that the file holds."""
        trials, self._earlier = self._earlier, []
        while len(trials) < most and self._left > 0:
            self._left -= 1
            # what is drawn follows from the finished trials, resumed or not
            self._study.sampler = self._sampler(seed=len(self._study.trials))
            trials.append(self._study.ask(
                {key: bounds.distribution() for key, bounds in self._ranges.items()}))
        return {trial.number: _as_texts(trial.params) for trial in trials}

    def finish(self, number: int, values: Sequence[float]) -> None:
        """Record the metric of a trial, for each seed."""
        self._study.tell(number, mean(values), skip_if_finished=True)

    def summary(self) -> str:
        """The best trial in a sentence."""
        finished = [trial for trial in self._study.trials if trial.value is not None]
        if not finished:
            return f'No trial of {self._study.study_name} is finished.'
        best = max(finished, key=lambda trial: trial.value)
        settings = ', '.join(f'{key}={text}' for key, text in _as_texts(best.params).items())
        return (f'Best of {len(finished)} trials of {self._study.study_name}: {settings} '
                f'({OBJECTIVE} {best.value:.2f}).')


def search_settings(first: Sequence[Run], ranges: Mapping[str, Range], trials: int, jobs: int,
                    out: Path, do: Callable) -> tuple[list[Run], list[str], str]:
    """Do the trials of each cell of some runs, ``jobs`` runs at a time.

    ``do`` takes runs, and all runs so far, and returns a sentence for each that fails. Returns all
    runs, those sentences, and the best trials.
    """
    cells, seeds = {run.cell: run for run in first}, list(dict.fromkeys(run.seed for run in first))
    searches = {cell: SettingSearch(out / 'search.journal', cell, ranges, trials)
                for cell in cells}
    at_once = max(jobs // len(first), 1)
    runs, failed = {}, []
    while asked := [(cell, number, settings) for cell in cells
                    for number, settings in searches[cell].next_trials(at_once).items()]:
        runs_of = {}
        for cell, number, settings in asked:
            like = cells[cell]
            grid = {key: [text] for key, text in {**like.options, **settings}.items()}
            runs_of[cell, number] = plan_runs({like.method: like.config}, grid, seeds, out)
        now = list(dict.fromkeys(sum(runs_of.values(), [])))  # trials may have equal settings
        runs |= dict.fromkeys(now)
        failed += (failures := do(now, [*runs]))
        for (cell, number), of_seeds in runs_of.items():
            if all(run.is_tested for run in of_seeds):
                searches[cell].finish(number, [read_result(run.folder)[OBJECTIVE]
                                               for run in of_seeds])
        if len(failures) == len(now):
            break
    return [*runs], failed, '\n'.join(search.summary() for search in searches.values())


def _as_texts(params):
    return {key: f'{value:.4g}' if isinstance(value, float) else str(value)
            for key, value in params.items()}
