"""What a finished run left in its work directory."""
import csv
import json
import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mmengine.runner import CheckpointLoader

from cicam_mm.evaluation.protocol import describe_protocol
from cicam_mm.guards import plain_config


class Result(NamedTuple):
    """The numbers of a run.

    Attributes:
        metrics: By name.
        source: Where they were found.
        protocol: How they were tested, see :func:`describe_protocol`.
    """
    metrics: dict[str, float]
    source: str
    protocol: dict[str, str]


class FinishedRun:
    """Reads a work directory; nothing in it is written or run, its configs are read as data.

    Args:
        folder (str | Path): The work directory of ``tools/train.py``.

    Raises:
        FileNotFoundError: If the folder holds no config, so nobody trained in it.
        RefusedFile: If the config holds code.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        # Sub-folders are named by the time a run started.
        self._trainings = [path.parents[1] for path in
                           sorted(self.folder.glob('*/vis_data/scalars.json'))
                           if '"loss"' in path.read_text()]
        configs = [training / 'vis_data' / 'config.py' for training in self._trainings[::-1]]
        configs = [path for path in configs if path.is_file()] or sorted(self.folder.glob('*.py'))
        if not configs:
            raise FileNotFoundError(f'{self.folder} holds no config of a run; give the work '
                                    'directory of a training.')
        self.config_text = configs[0].read_text()
        self.config = plain_config(self.config_text, configs[0])

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @cached_property
    def scalars(self) -> list[dict]:
        """What the training logged, in order; a resumed one goes on where it was resumed."""
        entries = []
        for training in self._trainings:
            lines = (training / 'vis_data' / 'scalars.json').read_text().splitlines()
            # one that was killed may end inside a line
            added = [json.loads(line) for line in lines if line.endswith('}')]
            start = min((entry['iter'] for entry in added if 'iter' in entry), default=0)
            while entries and last_iteration(entries) >= start:
                entries.pop()
            entries += added
        return entries

    @cached_property
    def result(self) -> Result:
        """The result, from the best of the places that may know it."""
        if (path := self.folder / 'metrics.json').is_file():
            content = json.loads(path.read_text())
            protocol = content.get('protocol') or describe_protocol(self.config)
            return Result(_numbers(content), 'metrics.json', protocol)
        for path in sorted(self.folder.glob('*/*.json'), reverse=True):
            if path.stem == path.parent.name:
                own = path.parent / 'vis_data' / 'config.py'
                config = plain_config(own.read_text(), own) if own.is_file() else self.config
                return Result(_numbers(json.loads(path.read_text())), 'last test',
                              describe_protocol(config))
        for entry in reversed(self.scalars):
            if 'loss' not in entry:
                return Result(_numbers({k: entry[k] for k in entry if '/' in k}),
                              'last validation', describe_protocol(self.config, 'val_dataloader'))
        return Result({}, 'nowhere', describe_protocol(self.config))

    @cached_property
    def checkpoint(self) -> Path | None:
        """The newest checkpoint, None if there is none."""
        found = list(self.folder.glob('*.pth'))
        return max(found, key=lambda path: (_number_in(path), path.stat().st_mtime), default=None)

    @cached_property
    def contexts(self):
        """The context pool in the checkpoint, (n, h, w), None if there is none."""
        if self.checkpoint is None:
            return None
        state = CheckpointLoader.load_checkpoint(str(self.checkpoint), 'cpu')['state_dict']
        return next((value.numpy() for key, value in state.items()
                     if key.endswith('head.pool.pool')), None)

    @cached_property
    def theta_curve(self) -> list[dict] | None:
        """Rows of ``threshold_search/curve.csv``, None if no search was made."""
        path = self.folder / 'threshold_search' / 'curve.csv'
        if not path.is_file():
            return None
        with open(path, newline='') as file:
            return [{key: value if key == 'map_rule' else float(value)
                     for key, value in row.items()} for row in csv.DictReader(file)]

    @cached_property
    def theta_search(self) -> dict:
        """What ``threshold_search/search.json`` sums up, empty if there is none."""
        path = self.folder / 'threshold_search' / 'search.json'
        return json.loads(path.read_text()) if path.is_file() else {}

    @property
    def predictions(self) -> Path | None:
        """The folder of saved predictions, None if there is none."""
        folder = self.folder / 'predictions'
        return folder if (folder / 'predictions.json').is_file() else None

    @cached_property
    def environment(self) -> str:
        """The line about versions and device with which the log starts."""
        for training in reversed(self._trainings):
            for log in training.glob('*.log'):
                if found := re.search(r'cicam_mm \d.*', log.read_text(errors='replace')):
                    return found[0]
        return 'not recorded'


def last_iteration(entries: list[dict]) -> int:
    """Iteration of the last entry; that of a validation is the one before it."""
    return next((entry['iter'] for entry in reversed(entries) if 'iter' in entry), 0)


def _numbers(metrics):
    return {name: value for name, value in metrics.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            and name not in ('data_time', 'time', 'step')}


def _number_in(path):
    return int((re.findall(r'\d+', path.stem) or [0])[-1])
