"""Tables and figures of sweeps: ``python docs/study/summarize.py docs/study/controls.csv``.

Prints means and differences to the cell without a pool as Markdown, for each value of a sweep's
options, or with ``--choose`` for the value that is best for each method on held-out images. With
``--draw`` it draws the differences beside the CSV file: a dot a seed, the mean and its 95 %
interval.
"""
import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from cicam_mm.sweep import statistics as tables

METRICS = {
    'wsol/top1_cls': 'Top-1 Cls',
    'wsol/top1_loc': 'Top-1 Loc',
    'wsol/gt_known_loc': 'GT-known',
    'max_box_acc_v2': 'MaxBoxAccV2',
    'pxap': 'PxAP',
    'localization_errors/more': '"more" errors',
    'localization_errors/context_mass': 'context mass',
}
HELD_OUT = 'held-out GT-known'


def read(path: Path) -> dict[str, tables.Results]:
    """Metrics by the options of a sweep, control and seed; those that the sweep has."""
    results = {}
    with path.open(newline='') as file:
        for row in csv.DictReader(file):
            names = list(row)
            options = ', '.join(f'{name.rsplit(".", 1)[-1]}={row[name]}'
                                for name in names[1:names.index('seed')])
            of_options = results.setdefault(options, {})
            of_options.setdefault(row['method'], {})[int(row['seed'])] = {
                label: float(row[name])
                for name, label in [*METRICS.items(), ('val/gt_known_loc', HELD_OUT)]
                if row.get(name)}
    return results


def metrics_of(results: tables.Results) -> list[str]:
    """The metrics that all runs have."""
    runs = [run for runs in results.values() for run in runs.values()]
    return [label for label in METRICS.values() if all(label in run for run in runs)]


def choose(of_options: Mapping[str, tables.Results]) -> tables.Results:
    """Of each method the runs whose options find most held-out objects; prints how many."""
    chosen = {}
    for method in next(iter(of_options.values())):
        held_out = {options: mean(run[HELD_OUT] for run in results[method].values())
                    for options, results in of_options.items()}
        best = max(held_out, key=held_out.get)
        print(f'{method}: {best}', *(f'{options} {found:.1f}'
                                     for options, found in held_out.items()), sep='; ')
        chosen[method] = of_options[best][method]
    return chosen


def draw(results: tables.Results, baseline: str, path: Path) -> None:
    """Draw the differences to the baseline, a panel per metric."""
    base = results[baseline]
    others = {cell: runs for cell, runs in results.items() if cell != baseline}
    figure = tables.draw_sweep({
        f'{label} - {baseline}': {
            cell: [runs[seed][label] - base[seed][label]
                   for seed in sorted(runs.keys() & base.keys())]
            for cell, runs in others.items()} for label in metrics_of(results)})
    for panel in figure.axes:
        panel.axvline(0, color='0.3', linewidth=1.2, zorder=1)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('csv', type=Path, nargs='+')
    parser.add_argument('--baseline', default='none', help='the cell to compare with')
    parser.add_argument('--draw', action='store_true', help='draw the differences, too')
    parser.add_argument('--of', type=Path, metavar='CSV',
                        help='the sweep that has this cell; default: each its own')
    parser.add_argument('--choose', action='store_true',
                        help='of each method the options that are best on held-out images')
    args = parser.parse_args()
    baseline = f'{args.baseline} of {args.of.stem}' if args.of else args.baseline
    added = {baseline: read(args.of)[''][args.baseline]} if args.of else {}
    for path in args.csv:
        of_options = read(path)
        if args.choose:
            of_options = {'chosen': choose(of_options)}
        for options, results in of_options.items():
            results = added | results
            metrics = metrics_of(results)
            print(f'\n{path.stem}{options and ", "}{options}\n')
            print(tables.as_markdown(tables.mean_table(results, metrics)))
            print(tables.as_markdown(tables.difference_table(results, metrics, baseline)))
            if args.draw:
                draw(results, baseline, path.with_suffix('.png'))


if __name__ == '__main__':
    main()
