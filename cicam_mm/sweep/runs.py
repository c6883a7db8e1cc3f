"""The runs of a sweep: train, optionally search theta, test."""
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.registry import init_default_scope

from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.engine import check_hooks
from cicam_mm.engine.runner import build_runner, lock_work_dir
from cicam_mm.engine.threshold_search import localizer_of, search_threshold
from cicam_mm.evaluation.held_out import check_held_out
from cicam_mm.evaluation.protocol import describe_protocol, write_metrics
from cicam_mm.evaluation.theta_sweep import SWEPT_METRICS
from cicam_mm.utils.distributed import launched_rank
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_json_mapping, read_text, write_atomically
from cicam_mm.utils.settings import check_settings

METRICS, SETTINGS = 'metrics.json', 'settings.json'


@dataclass(frozen=True)
class Run:
    """One training with its test; ``options`` override settings of the config, as texts.

    Runs are equal if they have the same folder.
    """
    method: str = field(compare=False)
    config: str = field(compare=False)
    options: Mapping[str, str] = field(compare=False)
    seed: int = field(compare=False)
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

    @property
    def is_tested(self) -> bool:
        return (self.folder / METRICS).is_file()


def plan_runs(methods: Mapping[str, str], grid: Mapping[str, Sequence[str]],
              seeds: Sequence[int], out: Path) -> list[Run]:
    """Combine all methods, with the paths of their configs, option values and seeds.

    Runs are ordered by seed, so that an interrupted sweep has complete seeds.
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


def train_and_test(cfg: Config, search_theta: bool = False) -> None:
    """Do a run, or complete an interrupted one; the result is ``metrics.json`` in its folder.

    That is ``work_dir`` of the complete config. ``search_theta`` tests with the theta that gives
    the highest GT-known Loc on the val split, which must not contain test images.
    """
    folder = Path(cfg.work_dir)
    with lock_work_dir(folder, launched_rank(cfg.get('launcher', 'none'))):
        if not is_done(cfg, search_theta):
            _train_and_test(deepcopy(cfg), search_theta, folder)


def _train_and_test(cfg, search_theta, folder):
    settings = _settings(cfg, search_theta)
    cfg.experiment_name = str(folder)  # runs of one name share their logger
    if latest := find_resumable(folder):
        cfg.load_from, cfg.resume = str(latest), True
    runner = build_runner(cfg)
    if is_main_process():
        write_atomically(folder / SETTINGS, settings)
    runner.train()
    chosen = {}
    if search_theta:
        cfg.load_from, cfg.resume = str(find_resumable(folder)), False
        rule = cfg.model.head.localizer.get('map_rule', 'quadratic')
        found = search_threshold(cfg, cfg.load_from, map_rules=[rule])
        chosen = {'theta': found.best['theta'],
                  **{f'val/{name}': found.best[name] for name in SWEPT_METRICS}}
        cfg.model.head.localizer.theta = found.best['theta']
        cfg.experiment_name = f'{folder} tested'
        runner = build_runner(cfg)
    metrics = {**runner.test(), **chosen}
    protocol = describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset))
    write_metrics(folder / METRICS, metrics, runner.test_evaluator, protocol)
    barrier()


def check_run(cfg: Config, search_theta: bool, metrics: Sequence[str] | None) -> None:
    """Check before a training its settings, the search for theta, and the metrics to compare."""
    check_settings(cfg)
    if search_theta:
        localizer_of(cfg)
        check_held_out(cfg, 'omit --search-theta')
    check_metrics(metrics, metric_names(cfg, search_theta))


def check_metrics(wanted: Sequence[str] | None, known: Sequence[str] | None) -> None:
    """Refuse unknown metrics, unless None says that nobody knows their names yet."""
    if known is not None and (unknown := [name for name in wanted or () if name not in known]):
        raise UserError(f'there is no metric {", ".join(unknown)}; choose from '
                        f'{", ".join(known)}')


def metric_names(cfg: Config, search_theta: bool) -> list[str] | None:
    """Names of the metrics of a run; None if they are not known before."""
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    names = check_hooks.metric_names(cfg.test_evaluator)
    found = ['theta', *(f'val/{name}' for name in SWEPT_METRICS)] if search_theta else []
    return names and names + found


def is_done(cfg: Config, search_theta: bool = False) -> bool:
    """Whether a run is finished; a UserError if the folder holds a run with other settings.

    Until it is, settings of its validation and test may change, since they do not change what was
    trained.
    """
    folder = Path(cfg.work_dir)
    recorded, done = folder / SETTINGS, (folder / METRICS).is_file()
    begun = recorded.is_file() and (done or any(folder.glob('*.pth')))
    if begun and not _same(read_text(recorded), _settings(cfg, search_theta), done):
        raise UserError(f'{folder} holds a run with other settings ({recorded}); remove it, or '
                        'give another --work-dir')
    return begun and done


def read_result(folder: Path) -> Mapping[str, float]:
    """The metrics of a finished run."""
    content = read_json_mapping(folder / METRICS)
    return {name: value for name, value in content.items() if isinstance(value, (int, float))}


def read_protocol(folder: Path) -> dict:
    """The protocol of a finished run, see :func:`describe_protocol`; empty if not recorded."""
    protocol = read_json_mapping(folder / METRICS).get('protocol')
    return protocol if isinstance(protocol, dict) else {}


def _same(recorded, settings, is_tested):
    try:
        contents = [dict(json.loads(text)) for text in (recorded, settings)]
    except (ValueError, TypeError, RecursionError):
        return False
    if not is_tested:
        contents = [{key: value for key, value in content.items()
                     if key != 'search_theta' and not key.startswith(('val_', 'test_'))}
                    for content in contents]
    # as text, so that NaN equals itself; sorted, since the order of keys means nothing
    one, other = (json.dumps(content, sort_keys=True) for content in contents)
    return one == other


def _settings(cfg, search_theta):
    return json.dumps({**cfg.to_dict(), 'work_dir': '.', 'search_theta': search_theta}, indent=1,
                      default=repr)
