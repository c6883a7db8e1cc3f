"""Train and test with several values of one setting, as for the paper's Table 4:
``python tools/sweep.py CONFIG model.head.pool.update_rate 0.001 0.01 0.08 --seeds 0 1 2``.

Started again, it goes on where it stopped. Every run has a folder in the work directory, where
sweep.csv holds all runs and sweep.md the mean over the seeds.
"""

import argparse
import csv
import json
import statistics
from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path

from _cli import (
    ArgumentParser,
    UserError,
    add_common_arguments,
    load_config,
    run,
    start_runner,
    write_metrics,
)

# isort: split
from mmengine.dist import barrier, is_main_process

from cicam_mm.engine.console import format_table
from cicam_mm.evaluation.protocol import describe_protocol


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Train and test with several values of a setting')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('option', help='name of the setting, e.g. model.head.pool.update_rate')
    parser.add_argument('values', nargs='+', help='its values, as in --cfg-options')
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='of the trainings; default 0')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    out = Path(args.work_dir or f'work_dirs/{Path(args.config).stem}_{args.option}')
    rows = []
    for value in args.values:
        for seed in args.seeds:
            folder = out / f'{args.option}={value}'.replace('/', '_') / f'seed_{seed}'
            metrics = run_once(args, folder, literal(value), seed)
            rows.append({args.option: value, 'seed': seed, **metrics})
            if is_main_process():
                write_tables(out, rows, args.option)


def run_once(args: argparse.Namespace, folder: Path, value, seed: int) -> dict[str, float]:
    """Train and test with one value and seed, or what was left to do of that; the metrics."""
    options = {**(args.cfg_options or {}), args.option: value, 'randomness.seed': seed}
    args = argparse.Namespace(
        **{**vars(args), 'work_dir': str(folder), 'cfg_options': options})
    cfg = load_config(args)
    cfg.merge_from_dict(options)
    settings = json.dumps({**cfg.to_dict(), 'work_dir': '.'}, indent=1)
    recorded, done = folder / 'settings.json', folder / 'metrics.json'
    if recorded.is_file() and recorded.read_text() != settings:
        raise UserError(f'{folder} holds a run with other settings ({recorded}); remove it, or '
                 'give another --work-dir')
    if not done.is_file():
        cfg.experiment_name = str(folder)  # runs of one name share their logger
        cfg.resume = not cfg.get('load_from')
        runner = start_runner(cfg, args)
        if is_main_process():
            recorded.write_text(settings)
        runner.train()
        write_metrics(done, runner.test(), runner.test_evaluator, describe_protocol(cfg))
        barrier()
    metrics = json.loads(done.read_text())
    return {name: value for name, value in metrics.items() if isinstance(value, (int, float))}


def literal(text: str):
    """The number, list, boolean or None a text spells; else the text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def write_tables(out: Path, rows: list[dict], option: str) -> None:
    """sweep.csv with all runs; sweep.md, also printed, with mean and deviation over the seeds."""
    with open(out / 'sweep.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    names = [name for name in rows[0] if name not in (option, 'seed')]
    table = [[option, 'runs', *names]]
    for value in dict.fromkeys(row[option] for row in rows):
        runs = [row for row in rows if row[option] == value]
        table.append([value, str(len(runs)),
                      *(mean_and_deviation([run[name] for run in runs]) for name in names)])
    (out / 'sweep.md').write_text('\n'.join(
        f'| {" | ".join(cells)} |' for cells in (table[0], ['---'] * len(table[0]), *table[1:]))
        + '\n')
    print(f'\n{format_table(table)}\n', flush=True)


def mean_and_deviation(values: Sequence[float]) -> str:
    """The mean, and for several values their standard deviation (of a sample)."""
    deviation = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.2f}{deviation}'


if __name__ == '__main__':
    run(main)
