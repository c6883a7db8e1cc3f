"""One run of a sweep: train, optionally search theta, test."""
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.registry import init_default_scope

from cicam_mm.apis.threshold_search import localizer_of, search_threshold
from cicam_mm.compat import launched_rank
from cicam_mm.engine.resume import find_resumable
from cicam_mm.engine.runner import build_runner
from cicam_mm.engine.work_dir_lock import lock_work_dir
from cicam_mm.errors import UserError
from cicam_mm.evaluation.held_out import check_held_out
from cicam_mm.evaluation.metrics_file import write_metrics
from cicam_mm.evaluation.protocol import describe_protocol
from cicam_mm.files import read_text, write_atomically
from cicam_mm.finite_json import read_json_mapping

METRICS, SETTINGS = 'metrics.json', 'settings.json'


def train_and_test(cfg: Config, search_theta: bool = False) -> None:
    """Do a run, or complete an interrupted one; the result is ``metrics.json`` in its folder.

    Args:
        cfg (Config): A complete config; ``work_dir`` is the folder of the run.
        search_theta (bool): Test with the theta that gives the highest GT-known Loc on the val
            split, which must not contain test images, instead of the config's theta. Defaults to
            False.
    """
    folder = Path(cfg.work_dir)
    with lock_work_dir(folder, launched_rank(cfg.get('launcher', 'none'))):
        if not is_done(cfg, search_theta):
            _train_and_test(deepcopy(cfg), search_theta, folder)


def _train_and_test(cfg, search_theta, folder):
    settings = _settings(cfg, search_theta)
    cfg.experiment_name = str(folder)  # runs of one name share their logger
    cfg.resume = not cfg.get('load_from')
    runner = build_runner(cfg)
    if is_main_process():
        write_atomically(folder / SETTINGS, settings)
    runner.train()
    chosen = {}
    if search_theta:
        cfg.load_from, cfg.resume = str(find_resumable(folder)), False
        rule = cfg.model.head.localizer.get('map_rule', 'quadratic')
        found = search_threshold(cfg, cfg.load_from, map_rules=[rule])
        chosen = {f'val/{found.by}': found.best[found.by], 'theta': found.best['theta']}
        cfg.model.head.localizer.theta = found.best['theta']
        cfg.experiment_name = f'{folder} tested'
        runner = build_runner(cfg)
    metrics = {**runner.test(), **chosen}
    protocol = describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset))
    write_metrics(folder / METRICS, metrics, runner.test_evaluator, protocol)
    barrier()


def check_theta_search(cfg: Config) -> None:
    """Check before a training that theta can be searched after it.

    Raises:
        UserError: If the head has no localizer, or the val split is missing or holds test images.
    """
    localizer_of(cfg)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    check_held_out(cfg, 'omit --search-theta')


def is_done(cfg: Config, search_theta: bool = False) -> bool:
    """Whether a run is finished.

    Until it is, settings of its validation and test may change, since they do not change what was
    trained.

    Raises:
        UserError: If the folder holds a run with other settings, or their file is damaged.
    """
    folder = Path(cfg.work_dir)
    recorded, done = folder / SETTINGS, (folder / METRICS).is_file()
    begun = recorded.is_file() and (done or any(folder.glob('*.pth')))
    if begun and not _same(read_text(recorded), _settings(cfg, search_theta), done):
        raise UserError(f'{folder} holds a run with other settings ({recorded}); remove it, or '
                        'give another --work-dir')
    return begun and done


def read_result(folder: Path) -> Mapping[str, float]:
    """The metrics of a finished run.

    Raises:
        UserError: If their file is damaged.
    """
    content = read_json_mapping(folder / METRICS)
    return {name: value for name, value in content.items() if isinstance(value, (int, float))}


def read_protocol(folder: Path) -> Mapping[str, str]:
    """The protocol of a finished run, see :func:`describe_protocol`; empty if not recorded."""
    protocol = read_json_mapping(folder / METRICS).get('protocol')
    return protocol if isinstance(protocol, dict) else {}


def _same(recorded, settings, is_tested):
    try:
        contents = json.loads(recorded), json.loads(settings)
    except (ValueError, RecursionError):
        return False
    if not isinstance(contents[0], dict):
        return False
    if not is_tested:
        contents = map(_of_training, contents)
    # as text, so that NaN equals itself; sorted, since the order of keys means nothing
    one, other = (json.dumps(content, sort_keys=True) for content in contents)
    return one == other


def _of_training(settings):
    return {key: value for key, value in settings.items()
            if key != 'search_theta' and not key.startswith(('val_', 'test_'))}


def _settings(cfg, search_theta):
    return json.dumps({**cfg.to_dict(), 'work_dir': '.', 'search_theta': search_theta}, indent=1,
                      default=repr)
