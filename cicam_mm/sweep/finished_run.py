"""Reading the results of a finished run from its work directory."""
import json
import re
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from cicam_mm.checkpoints.loading import plain_config
from cicam_mm.checkpoints.release import read_pools
from cicam_mm.evaluation.protocol import describe_protocol
from cicam_mm.localization.map_rules import rule_name
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes, read_json_mapping, read_text


class RunResult(NamedTuple):
    """``metrics`` by name; ``source``, where they were found; ``protocol`` of the test."""
    metrics: dict[str, float]
    source: str
    protocol: dict[str, Any]


class FinishedRun:
    """Reads the work directory of a training as data, without running anything in it."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        # subfolders are named by the time a run started
        self._trainings = [path.parents[1] for path in
                           sorted(self.folder.glob('*/vis_data/scalars.json'))
                           if '"loss"' in read_text(path)]
        configs = [training / 'vis_data' / 'config.py' for training in self._trainings[::-1]]
        configs = [path for path in configs if path.is_file()] or sorted(self.folder.glob('*.py'))
        if not configs:
            raise FileNotFoundError(f'{self.folder} holds no config of a run; give the work '
                                    'directory of a training.')
        self.config_text = read_text(configs[0])
        self.config = plain_config(self.config_text, configs[0])

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @cached_property
    def scalars(self) -> list[dict]:
        """The log entries of the training in order, joined across resumed runs."""
        entries = []
        for training in self._trainings:
            path = training / 'vis_data' / 'scalars.json'
            lines = read_text(path).split('\n')
            # a killed training may leave a partial last line
            added = [_read_entry(path, number, line) for number, line in enumerate(lines, 1)
                     if line.endswith('}') or number < len(lines) and line]
            start = min((entry['iter'] for entry in added if 'iter' in entry), default=0)
            before = takewhile(lambda entry: entry.get('iter', -1) < start, entries)  # noqa: B023
            entries = [*before, *added]
        return entries

    @cached_property
    def result(self) -> RunResult:
        """The result, from the best available source."""
        if (path := self.folder / 'metrics.json').is_file():
            content = read_json_mapping(path)
            protocol = content.get('protocol')
            return RunResult(_numbers(content), 'metrics.json', protocol if isinstance(
                protocol, dict) else describe_protocol(self.config))
        # folders named by a time, unlike predictions/predictions.json
        tests = [path for pattern in ('[0-9]*/*.json', 'test/[0-9]*/*.json')
                 for path in self.folder.glob(pattern) if path.stem == path.parent.name]
        if tests:
            path, config, source = max(tests, key=lambda path: path.stem), self.config, 'last test'
            if (own := path.parent / 'vis_data' / 'config.py').is_file():
                config = plain_config(read_text(own), own)
                if config.get('load_from'):
                    source = f'test of {Path(str(config["load_from"])).name}'
            return RunResult(_numbers(read_json_mapping(path)), source, describe_protocol(config))
        for entry in reversed(self.scalars):
            if 'loss' not in entry:
                numbers = _numbers({key: entry[key] for key in entry if '/' in key})
                return RunResult(numbers, 'last validation',
                                 describe_protocol(self.config, 'val_dataloader'))
        return RunResult({}, 'nowhere', describe_protocol(self.config))

    @cached_property
    def checkpoint(self) -> Path | None:
        """The checkpoint of the last epoch or iteration, else the newest file; or None."""
        # not what ``last_checkpoint`` names, which in a copied folder is elsewhere
        found = [path for path in self.folder.glob('*.pth') if path.is_file()]
        return max(found, default=None,
                   key=lambda path: (_training_time(path.name), path.stat().st_mtime))

    @cached_property
    def contexts(self):
        """The context pool in the checkpoint, (n, h, w), or None if there is none."""
        if self.checkpoint is None:
            return None
        return next((pool.numpy() for pool in read_pools(self.checkpoint).values()), None)

    @property
    def theta_figure(self) -> bytes | None:
        """The picture ``threshold_search/curve.png``, or None if there is none."""
        path = self.folder / 'threshold_search' / 'curve.png'
        if not path.is_file():
            return None
        content = read_bytes(path, 2**24)
        if not content.startswith(b'\x89PNG'):  # a link could lead to what is not to be shared
            raise UserError(f'{path} is damaged or not a picture; create it again.')
        return content

    @property
    def theta_search(self) -> list[str]:
        """Best setting, metric and images of ``threshold_search/search.json``, if it is there."""
        path = self.folder / 'threshold_search' / 'search.json'
        if not path.is_file():
            return []
        found = read_json_mapping(path)
        try:
            best = found['best']
            return [f'{rule_name(best["map_rule"])}, theta {best["theta"]:g}', str(found['by']),
                    f'{found["split"]}, {found["num_images"]} images']
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f'{path} is damaged or not of this kind '
                            f'({type(error).__name__}: {error}); create it again.') from error

    @property
    def predictions(self) -> Path | None:
        """The folder of saved predictions, or None if there is none."""
        folder = self.folder / 'predictions'
        return folder if (folder / 'predictions.json').is_file() else None

    @cached_property
    def environment(self) -> str:
        """The line about versions and device at the start of the log."""
        for training in reversed(self._trainings):
            for log in filter(Path.is_file, training.glob('*.log')):
                with open(log, errors='replace') as file:
                    found = re.search(r'cicam_mm \d.*', file.read(2**20))
                if found:
                    return found[0]
        return 'not recorded'


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _read_entry(path, number, line):
    try:
        entry = json.loads(line, parse_constant=float)
    except (ValueError, RecursionError) as error:
        entry = error
    if not isinstance(entry, dict) or not all(
            _is_number(entry[key]) for key in ('iter', 'step', 'epoch') if key in entry):
        raise UserError(f'{path}, line {number}: not an entry of a log; remove the line.')
    return {key: value for key, value in entry.items() if isinstance(value, (int, float))}


def _numbers(metrics):
    return {name: value for name, value in metrics.items()
            if _is_number(value) and name not in ('data_time', 'time', 'step')}


def _training_time(name):
    """Sort key for the names of mmengine's checkpoints; last ones sort after best ones."""
    match = re.fullmatch(r'(best_.+_)?(epoch|iter)_(\d+)\.pth', name)
    return (match[2] == 'epoch', int(match[3]), not match[1]) if match else (False, -1, False)
