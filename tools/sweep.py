"""Train and test several methods with several settings and seeds, and compare them:
``cicam_mm sweep CAM=configs/cam/cam_tiny_shapes.py configs/cicam_tiny_shapes.py``.

Each run has a folder in the work directory, where sweep.csv lists all runs, sweep.md has means and
differences over the seeds, and sweep.png plots them. Started again, a sweep continues.
"""
import argparse
import re
import sys
from functools import partial
from pathlib import Path

from _cli import ArgumentParser, key_value, load_config, positive, run


def parse_method(text: str) -> tuple[str, str]:
    name, config = re.fullmatch('(?:([^=/]+)=)?(.*)', text, re.DOTALL).groups()
    return name or Path(config).stem, config


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
parser.add_argument('--trials', type=positive, default=20, metavar='N',
                    help='values that --search tries for each method; default: 20')
parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='default: 0')
parser.add_argument('--jobs', type=positive, help='runs at a time; default: one per GPU, or '
                    'one; without --search all of them with --executor slurm')
parser.add_argument('--executor', choices=['local', 'slurm'], default='local',
                    help='local: on this machine (default); slurm: as jobs of a cluster')
parser.add_argument(
    '--slurm', nargs='+', type=key_value, default=[], metavar='KEY=VALUE',
    help="submitit's options for the jobs; default: timeout_min=1440 gpus_per_node=1; others "
    'are cpus_per_task, mem_gb, slurm_partition, slurm_account, ...')
parser.add_argument('--search-theta', action='store_true',
                    help='test each run with the theta that is best on its val split')
parser.add_argument('--baseline', metavar='NAME',
                    help='the cell to compare with, as named in the table; default: the first')
parser.add_argument('--metrics', nargs='+', metavar='NAME',
                    help='metrics to compare, as named in metrics.json; default: those that '
                    'the field compares; sweep.csv has all')
parser.add_cfg_options()
parser.add_run()


def main(args) -> None:
    from mmengine.dist import is_main_process

    from cicam_mm.sweep.processes import default_jobs
    from cicam_mm.sweep.runs import plan_runs
    from cicam_mm.sweep.setting_search import Range, search_settings
    from cicam_mm.utils.errors import UserError

    if wrong := [grid[0] for grid in args.grid if len(grid) < 2]:
        raise UserError(f'--grid {wrong[0]} needs values')
    if args.launcher != 'none' and (args.jobs or args.search or args.executor == 'slurm'):
        raise UserError('--launcher gives all devices to one run, whereas --jobs, --search and '
                        '--executor slurm are for runs on one device each; omit either')
    if args.slurm and args.executor != 'slurm':
        raise UserError('--slurm holds options for --executor slurm; give both')
    keys = {text.partition('=')[0] for text in args.cfg_options}
    keys |= {key for key, *_ in [*args.grid, *args.search]}
    if keys & {'work_dir', 'randomness.seed'}:
        raise UserError('every run has its own folder and seed; set that of the sweep with '
                        '--work-dir, and seeds with --seeds')
    methods = dict(args.configs)
    if len(methods) < len(args.configs):
        raise UserError('two configs have the same name; put NAME= in front of one')
    args.search_theta |= bool(args.search)
    args.out = Path(args.work_dir or f'work_dirs/sweep_{"_".join(methods)}')
    runs = plan_runs(methods, {key: texts for key, *texts in args.grid}, args.seeds, args.out)
    if args.search:
        ranges = {key: Range.parse(key, *bounds) for key, *bounds in args.search}
        runs, failed, best = search_settings(
            runs, ranges, args.trials, args.jobs or default_jobs(), args.out, partial(do, args))
    else:
        failed, best = do(args, runs, runs), ''
    if is_main_process():
        print(report(args, runs, best))
    if failed:
        sys.exit('\n'.join([f'error: {len(failed)} of {len(runs)} runs failed:', *failed]))


def do(args, runs, all_runs) -> list[str]:
    """Do the runs that are not done; a sentence for each that fails."""
    from cicam_mm.sweep.processes import LOG, default_jobs, run_all
    from cicam_mm.sweep.runs import check_run, is_done, train_and_test
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
        try:
            check_run(cfg, args.search_theta, args.metrics)
        except UserError as error:
            raise UserError(f'{cell}: {error}') from None
    work = {run: partial(train_and_test, configs[run], args.search_theta) for run in left}
    if args.launcher != 'none':
        for action in work.values():
            action()
        return []
    starter, jobs = None, args.jobs or default_jobs()
    if args.executor == 'slurm':
        options = dict(text.split('=', 1) for text in args.slurm)
        starter = JobStarter(args.out / 'slurm', {
            key: int(value) if value.isdecimal() else value for key, value in options.items()})
        jobs = args.jobs or max(len(left), 1)
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
            report(args, all_runs)
    return failed


def configure(args, run_):
    """The complete config of a run."""
    options = [f'{key}={text}' for key, text in run_.options.items()]
    cfg = load_config(argparse.Namespace(**{
        **vars(args), 'config': run_.config, 'work_dir': str(run_.folder),
        'cfg_options': [*args.cfg_options, *options]}))
    cfg.merge_from_dict({'randomness.seed': run_.seed})
    return cfg


def report(args, runs, best: str = '') -> str:
    """Write the results of the finished runs; return the tables as plain text."""
    from cicam_mm.sweep.statistics import write_tables

    baseline = None if args.search else args.baseline or runs[0].cell
    return write_tables(runs, args.out, args.metrics, baseline, best)


if __name__ == '__main__':
    run(main, parser)
