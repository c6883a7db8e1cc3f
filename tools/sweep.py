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
        '--seeds', type=int, nargs='+', default=[0], help='seeds of the trainings; default: 0')
    parser.add_argument(
        '--jobs', type=positive, help='runs at a time; default: one per GPU, or one')
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

    from cicam_mm.sweep.processes import LOG, default_jobs, run_all
    from cicam_mm.sweep.runs import is_done, metric_names, plan_runs, train_and_test
    from cicam_mm.utils.errors import UserError

    if wrong := [grid[0] for grid in args.grid if len(grid) < 2]:
        raise UserError(f'--grid {wrong[0]} needs values')
    if args.launcher != 'none' and args.jobs:
        raise UserError('--jobs is for runs on one device each, whereas --launcher gives all '
                        'devices to one run; omit one of them')
    keys = {text.partition('=')[0] for text in args.cfg_options} | {key for key, *_ in args.grid}
    if keys & {'work_dir', 'randomness.seed'}:
        raise UserError('every run has its own folder and seed; set that of the sweep with '
                        '--work-dir, and seeds with --seeds')
    methods = dict(args.configs)
    if len(methods) < len(args.configs):
        raise UserError('two configs have the same name; put NAME= in front of one')
    out = Path(args.work_dir or f'work_dirs/sweep_{"_".join(methods)}')
    runs = plan_runs(methods, {key: texts for key, *texts in args.grid}, args.seeds, out)
    cells = list(dict.fromkeys(run.cell for run in runs))
    baseline = args.baseline or cells[0]
    if baseline not in cells:
        raise UserError(f"there is no cell '{baseline}' to compare with; choose from "
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

    failed = []
    if args.launcher == 'none':
        ended = run_all(work, args.jobs or default_jobs())
        for number, (run_, seconds, error) in enumerate(ended, 1):
            print(f'{number}/{len(left)} {run_.name}: {seconds:.0f} s'
                  f'{", failed" if error else ""}', flush=True)
            if error:
                failed.append(f'{run_.name}: {error} ({run_.folder / LOG})')
            else:
                report(out, runs, baseline, args.metrics)
    else:
        for action in work.values():
            action()
    if is_main_process():
        print(report(out, runs, baseline, args.metrics))
    if failed:
        sys.exit('\n'.join([f'error: {len(failed)} of {len(runs)} runs failed:', *failed]))


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


def report(out: Path, runs, baseline: str, metrics) -> str:
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
    check_metrics(metrics or (), known)
    metrics, results = metrics or tables.usual_metrics(known), tables.collect(rows)
    means = tables.mean_table(results, metrics)
    written = f'{MEANS}\n\n{tables.as_markdown(means)}'
    text = f'\n{format_table(means)}\n'
    if len(results) > 1 and baseline in results:
        differences = tables.difference_table(results, metrics, baseline)
        written += f'\n{DIFFERENCES}\n\n{tables.as_markdown(differences)}'
        text += f'\n{format_table(differences)}\n'
    if warning := warn_of_differences([read_protocol(run_.folder) for run_, _ in rows]):
        written += f'\n{warning}\n'
        text += f'\n{warning}\n'
    write_atomically(out / 'sweep.md', written)
    figure = tables.draw_sweep({
        tables.title_of(name): {cell: tables.values(of_seeds, name)
                                for cell, of_seeds in results.items()} for name in metrics})
    with open_atomically(out / 'sweep.png', 'wb') as file:
        figure.savefig(file, format='png', dpi=120)
    return text


if __name__ == '__main__':
    run(main, build_parser())
