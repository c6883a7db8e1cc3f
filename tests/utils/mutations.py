"""Mutated settings of the demo config: ``python tests/utils/mutations.py [FIRST [LAST]]``.

Each must be refused in a sentence, or be used. Prints those that are neither.
"""
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import ManagerMixin

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import as_sentence
from cicam_mm.utils.settings import merge_options, top_level_settings

DEMO = Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py'


class Mutation(NamedTuple):
    kind: str
    path: tuple
    value: object

    def __str__(self) -> str:
        return f'{self.kind} {".".join(map(str, self.path))} = {self.value!r}'

    def applied_to(self, cfg: Config) -> Config:
        cfg = deepcopy(cfg)
        owner, key = _owner(cfg, self.path)
        if self.kind == 'misspelt':
            owner[misspell(key)] = owner.pop(key)
        elif self.kind == 'unknown':
            owner[key]['surplus'] = 1
        elif len(self.path) == 1:
            merge_options(cfg, {key: self.value})
        else:
            owner[key] = self.value
        return cfg


def _owner(cfg, path):
    for key in path[:-1]:
        cfg = cfg[key]
    return cfg, path[-1]


def misspell(name: str) -> str:
    """The last two letters change places, or one is left out."""
    swapped = f'{name[:-2]}{name[-1]}{name[-2]}' if len(name) > 1 else f'{name}{name}'
    return swapped if swapped != name else name[:-1]


def mutations(cfg: Mapping, path: tuple = ()) -> Iterator[Mutation]:
    """Each setting misspelt, None, of another type, negative; each dict with an unknown one."""
    items = enumerate(cfg) if isinstance(cfg, (list, tuple)) else cfg.items()
    for key, value in items:
        here = (*path, key)
        if path and here[0] not in top_level_settings() - {'custom_imports'}:
            continue
        if isinstance(key, str) and path[-1:] != ('default_hooks', ):
            yield Mutation('misspelt', here, None)
        if value is not None:
            yield Mutation('none', here, None)
        for other in ('no', 7, [], True):
            if not isinstance(other, type(value)) and not (
                    isinstance(value, (tuple, float)) and isinstance(other, (list, int))):
                yield Mutation('type', here, other)
                break
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            yield Mutation('negative', here, -value)
        if isinstance(value, Mapping):
            yield Mutation('unknown', here, None)
        if isinstance(value, (Mapping, list)):
            yield from mutations(value, here)


def small_demo() -> Config:
    """The demo with a dozen images, which trains in a second."""
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(DEMO)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.param_scheduler[0] |= dict(T_max=1, end=1)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.num_images = 6
    cfg.log_level = 'ERROR'
    return cfg


def outcome(cfg: Config, mutation: Mutation, work_dir: str) -> str:
    """'refused', 'used', or what is wrong."""
    for kind in _subclasses(ManagerMixin):  # loggers and others that runs share
        kind._instance_dict.clear()
    try:
        mutated = mutation.applied_to(cfg)
        mutated.setdefault('work_dir', work_dir)
        runner = build_runner(mutated)
        (runner.test if mutation.path[0].startswith('test') else runner.train)()
    except Exception as error:
        return 'refused' if as_sentence(error) else f'{type(error).__name__}: {error}'
    return 'used' if mutation.kind not in ('misspelt', 'unknown') else 'nothing reads it'


def _subclasses(kind):
    return {kind}.union(*map(_subclasses, kind.__subclasses__()))


def main() -> None:
    logging.getLogger().setLevel(logging.ERROR)
    cfg = small_demo()
    every, counts = list(mutations(cfg)), Counter()
    chosen = slice(*map(int, sys.argv[1:3])) if len(sys.argv) == 3 else slice(None)
    for number, mutation in list(enumerate(every))[chosen]:
        with tempfile.TemporaryDirectory() as folder:
            found = outcome(cfg, mutation, folder)
        known = found if found in ('refused', 'used') else 'wrong'
        counts[f'{mutation.kind} {known}'] += 1
        if found != 'refused':
            print(number, mutation, '->', found, flush=True)
    print(f'{len(every)} mutations:', dict(counts))


if __name__ == '__main__':
    import cicam_mm  # noqa: F401  registers everything
    main()
