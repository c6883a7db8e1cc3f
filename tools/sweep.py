"""Train and test several methods with several settings and seeds, and compare them:
``cicam_mm sweep CAM=configs/cam/cam_tiny_shapes.py configs/cicam_tiny_shapes.py``.

An interrupted sweep continues when started again. Every run has a folder in the work directory;
sweep.csv there lists all runs, sweep.md has means and differences over the seeds, and sweep.png
plots them.
"""

import argparse
import re
import sys
from functools import partial
from pathlib import Path

from _cli import ArgumentParser, load_config, positive, run

MEANS = 'Mean ± standard deviation over the seeds, in the units of the metrics.'
DIFFERENCES = 'Differences, paired by seed, with their 95 % intervals; * if one excludes zero.'


def build_parser() -> ArgumentParser:
    parser = ArgumentParser('Train and test several methods with several settings and seeds.',
                            'sweep CAM=cam.py CI-CAM=cicam.py --seeds 0 1 2 --search-theta')
    parser.add_argument('configs', nargs='+', metavar='[NAME=]CONFIG', type=parse_method)
    parser.add_argument(
        '--grid', nargs='+', action='append', default=[], metavar=('KEY', 'VALUE'),
        help='a setting and its values, as in --cfg-options; repeat it for several settings')
    parser.add_argument(
        '--search', nargs=3, action='append', default=[], metavar=('KEY', 'LOW', 'HIGH'),
        help='a setting whose best value in this range optuna searches by val/gt_known_loc, the '
        'mean over the seeds (implies --search-theta); on a logarithmic scale if HIGH is at least '
        'ten times LOW; repeat it for several settings')
    parser.add_argument(
        '--trials', type=positive, default=20, metavar='N',
        help='number of values that --search tries for each method; default: 20')
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='seeds of the trainings; default: 0')
    parser.add_argument(
        '--jobs', type=positive,
        help='runs at a time; default: one per GPU, or one; without --search all of them with '
        '--executor slurm')
    parser.add_argument(
        '--executor', choices=['local', 'slurm'], default='local',
        help='do the runs on this machine (default), or as jobs of a Slurm cluster')
    parser.add_argument(
        '--slurm', nargs='+', default=[], metavar='KEY=VALUE',
        help="submitit's options for the jobs; default: timeout_min=1440 gpus_per_node=1; others "
        'are cpus_per_task, mem_gb, slurm_partition, slurm_account, ...')
    parser.add_argument(
        '--search-theta', action='store_true',
        help='test each run with the theta found on its val split instead of the config\'s')
    parser.add_argument(
        '--baseline', metavar='NAME',
        help='the cell to compare with, as named in the table; default: the first')
    parser.add_argument(
        '--metrics', nargs='+', metavar='NAME',
        help='metrics to compare, by their names in metrics.json; default: those that the field '
        'compares; sweep.csv has all')
    parser.add_cfg_options()
    parser.add_run()
    return parser


def parse_method(text: str) -> tuple[str, str]:
    name, _, config = re.fullmatch(r'(?:([^=/]+)(=))?(.+)', text).groups()
    return name or Path(config).stem, config


def main(args) -> None:
    from mmengine.dist import is_main_process

    from cicam_mm.sweep.runs import plan_runs
    from cicam_mm.utils.errors import UserError

    if wrong := [grid[0] for grid in args.grid if len(grid) < 2]:
        raise UserError(f'--grid {wrong[0]} needs values')
    of_one_device = {'--jobs': args.jobs, '--search': args.search,
                     '--executor slurm': args.executor == 'slurm'}
    if args.launcher != 'none' and any(of_one_device.values()):
        option = next(name for name, is_given in of_one_device.items() if is_given)
        raise UserError(f'{option} is for runs on one device each, whereas --launcher gives all '
                        'devices to one run; omit one of them')
    if args.slurm and args.executor != 'slurm':
        raise UserError('--slurm holds options for --executor slurm; give both')
    if args.search and args.baseline:
        raise UserError('--search finds the best trial, so there is no cell to compare with; '
                        'omit --baseline')
    keys = {text.partition('=')[0] for text in args.cfg_options}
    keys |= {key for key, *_ in [*args.grid, *args.search]}
    if keys & {'work_dir', 'randomness.seed'}:
        raise UserError('every run has its own folder and seed; set that of the sweep with '
                        '--work-dir, and seeds with --seeds')
    methods = dict(args.configs)
    if len(methods) < len(args.configs):
        raise UserError('two configs have the same name; put NAME= in front of one')
    args.search_theta |= bool(args.search)
    out = Path(args.work_dir or f'work_dirs/sweep_{"_".join(methods)}')
    runs = plan_runs(methods, {key: texts for key, *texts in args.grid}, args.seeds, out)
    if args.search:
        runs, failed, best = search(args, runs, out)
    else:
        failed, best = do(args, runs, runs, out), ''
    if is_main_process():
        print(report(args, runs, out, best))
    if failed:
        sys.exit('\n'.join([f'error: {len(failed)} of {len(runs)} runs failed:', *failed]))


def do(args, runs, all_runs, out: Path) -> list[str]:
    """Do the runs that are not done; a sentence for each that fails."""
    from cicam_mm.sweep.processes import LOG, default_jobs, run_all
    from cicam_mm.sweep.runs import is_done, metric_names, train_and_test
    from cicam_mm.sweep.slurm import JobStarter
    from cicam_mm.utils.errors import UserError

    cells = list(dict.fromkeys(run.cell for run in all_runs))
    if args.baseline not in (None, *cells):
        raise UserError(f"there is no cell '{args.baseline}' to compare with; choose from "
                        f'{", ".join(cells)}')
    configs = {run: configure(args, run) for run in runs}
    left = [run for run in runs if not is_done(configs[run], args.search_theta)]
    if len(left) < len(runs):
        print(f'{len(runs) - len(left)} of {len(runs)} runs are done already.')
    of_cells = {run.cell: configs[run] for run in left}  # seeds share images and metrics
    for cell, cfg in of_cells.items():
        check_cell(cell, cfg, args.search_theta)
        check_metrics(args.metrics or (), metric_names(cfg, args.search_theta))
    work = {run: partial(train_and_test, configs[run], args.search_theta) for run in left}
    if args.launcher != 'none':
        for action in work.values():
            action()
        return []
    starter = None
    if args.executor == 'slurm':
        starter = JobStarter(out / 'slurm', parse_slurm(args.slurm))
    jobs = args.jobs or (default_jobs() if starter is None else max(len(left), 1))
    if left:
        print(f'{len(left)} run{"s" * (len(left) > 1)} to do, {min(jobs, len(left))} at a time.',
              flush=True)
    failed = []
    for number, (run_, seconds, error) in enumerate(run_all(work, jobs, starter), 1):
        print(f'{number}/{len(left)} {run_.name}: {seconds:.0f} s'
              f'{", failed" if error else ""}', flush=True)
        if error:
            failed.append(f'{run_.name}: {error} ({run_.folder / LOG})')
        else:
            report(args, all_runs, out)
    return failed


def search(args, first, out: Path):
    """Do the trials of ``--search`` for each cell of some runs.

    Returns:
        tuple: All runs, a sentence for each that failed, and the best trials.
    """
    from cicam_mm.sweep.processes import default_jobs
    from cicam_mm.sweep.runs import METRICS, plan_runs, read_result
    from cicam_mm.sweep.setting_search import OBJECTIVE, Range, SettingSearch

    ranges = {key: Range.parse(key, *bounds) for key, *bounds in args.search}
    cells = {run_.cell: run_ for run_ in first}
    searches = {cell: SettingSearch(out / 'search.journal', cell, ranges, args.trials)
                for cell in cells}
    at_once = max((args.jobs or default_jobs()) // (len(cells) * len(args.seeds)), 1)
    runs, failed = {}, []
    while trials := [(cell, number, settings) for cell in cells
                     for number, settings in searches[cell].next_trials(at_once).items()]:
        runs_of = {}
        for cell, number, settings in trials:
            method, config = cells[cell].method, cells[cell].config
            grid = {key: [text] for key, text in {**cells[cell].options, **settings}.items()}
            runs_of[cell, number] = [  # two trials may have the same settings
                runs.setdefault(run_.folder, run_)
                for run_ in plan_runs({method: config}, grid, args.seeds, out)]
        now = list(dict.fromkeys(sum(runs_of.values(), [])))
        failed += (failures := do(args, now, [*runs.values()], out))
        for (cell, number), of_seeds in runs_of.items():
            if all((run_.folder / METRICS).is_file() for run_ in of_seeds):
                searches[cell].finish(number, [read_result(run_.folder)[OBJECTIVE]
                                               for run_ in of_seeds])
        if len(failures) == len(now):
            break
    return [*runs.values()], failed, '\n'.join(found.summary() for found in searches.values())


def parse_slurm(texts) -> dict:
    from cicam_mm.utils.errors import UserError

    if wrong := [text for text in texts if '=' not in text]:
        raise UserError(f'--slurm takes KEY=VALUE, not {wrong[0]}')
    options = dict(text.split('=', 1) for text in texts)
    return {key: int(value) if value.isdecimal() else value for key, value in options.items()}


def check_metrics(wanted, known) -> None:
    """Refuse unknown metrics, unless None says that nobody knows their names yet."""
    from cicam_mm.utils.errors import UserError

    if known is not None and (unknown := [name for name in wanted if name not in known]):
        raise UserError(f'there is no metric {", ".join(unknown)}; choose from '
                        f'{", ".join(known)}')


def check_cell(cell: str, cfg, search_theta: bool) -> None:
    """Check the config of a cell before any training, and whether theta can be searched for it."""
    from cicam_mm.sweep.runs import check_theta_search
    from cicam_mm.utils.errors import UserError
    from cicam_mm.utils.settings import check_settings

    try:
        check_settings(cfg)
        if search_theta:
            check_theta_search(cfg)
    except UserError as error:
        raise UserError(f'{cell}: {error}') from None


def configure(args, run_):
    """The complete config of a run."""
    from cicam_mm.apis.configs import parse_options
    from cicam_mm.utils.settings import merge_options

    cfg = load_config(argparse.Namespace(
        **{**vars(args), 'config': run_.config, 'work_dir': str(run_.folder)}))
    merge_options(cfg, parse_options(cfg, [f'{k}={v}' for k, v in run_.options.items()]))
    cfg.merge_from_dict({'randomness.seed': run_.seed})
    return cfg


def report(args, runs, out: Path, best: str = '') -> str:
    """Write the results of the finished runs; return the tables as plain text."""
    from cicam_mm.evaluation.protocol import warn_of_differences
    from cicam_mm.sweep import statistics as tables
    from cicam_mm.sweep.runs import METRICS, read_protocol, read_result
    from cicam_mm.utils.console import format_table
    from cicam_mm.utils.io import open_atomically, write_atomically

    rows = [(run_, read_result(run_.folder)) for run_ in runs
            if (run_.folder / METRICS).is_file()]
    if not rows:
        return 'No run is finished.'
    write_atomically(out / 'sweep.csv', tables.as_csv(rows))
    known = [name for name in rows[0][1] if all(name in result for _, result in rows)]
    check_metrics(args.metrics or (), known)
    metrics, results = args.metrics or tables.usual_metrics(known), tables.collect(rows)
    found = {MEANS: tables.mean_table(results, metrics)}
    baseline = args.baseline or runs[0].cell
    if len(results) > 1 and baseline in results and not args.search:
        found[DIFFERENCES] = tables.difference_table(results, metrics, baseline)
    warning = warn_of_differences([read_protocol(run_.folder) for run_, _ in rows])
    notes = [note for note in (best, warning) if note]
    write_atomically(out / 'sweep.md', '\n'.join([
        *(f'{title}\n\n{tables.as_markdown(table)}' for title, table in found.items()),
        *(f'{note}\n' for note in notes)]))
    figure = tables.draw_sweep({
        tables.title_of(name): {cell: tables.values(of_seeds, name)
                                for cell, of_seeds in results.items()} for name in metrics})
    with open_atomically(out / 'sweep.png', 'wb') as file:
        figure.savefig(file, format='png', dpi=120)
    return ''.join(f'\n{part}\n' for part in [*map(format_table, found.values()), *notes])


if __name__ == '__main__':
    run(main, build_parser())
