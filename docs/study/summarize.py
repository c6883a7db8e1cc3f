"""Tables and figure of a sweep: ``python docs/study/summarize.py docs/study/controls.csv``.

Prints means and differences to the cell without a pool as Markdown, and draws the differences
beside the CSV file: a dot a seed, the mean and its 95 % interval.
"""
import argparse
import csv
from pathlib import Path

from cicam_mm.sweep import tables
from cicam_mm.visualization.sweep_figure import draw_sweep

METRICS = {
    'wsol/top1_cls': 'Top-1 Cls',
    'wsol/top1_loc': 'Top-1 Loc',
    'wsol/gt_known_loc': 'GT-known',
    'max_box_acc_v2': 'MaxBoxAccV2',
    'pxap': 'PxAP',
    'localization_errors/more': '"more" errors',
    'localization_errors/context_mass': 'context mass',
}


def read(path: Path) -> tables.Results:
    """Metrics by cell and seed, a cell being the control and the values of the options."""
    results = {}
    with path.open(newline='') as file:
        for row in csv.DictReader(file):
            names = list(row)
            options = [f'{name.rsplit(".", 1)[-1]}={row[name]}'
                       for name in names[1:names.index('seed')]]
            results.setdefault(', '.join([row['method'], *options]), {})[int(row['seed'])] = {
                label: float(row[name]) for name, label in METRICS.items()}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('csv', type=Path, nargs='+')
    parser.add_argument('--baseline', default='none', help='the cell to compare with')
    args = parser.parse_args()
    for path in args.csv:
        results = read(path)
        baseline = results[args.baseline]
        print(f'\n{path.stem}\n')
        print(tables.as_markdown(tables.mean_table(results, METRICS.values())))
        print(tables.as_markdown(
            tables.difference_table(results, METRICS.values(), args.baseline)))
        others = {cell: runs for cell, runs in results.items() if cell != args.baseline}
        figure = draw_sweep({
            f'{label} - {args.baseline}': {
                cell: [runs[seed][label] - baseline[seed][label]
                       for seed in runs.keys() & baseline.keys()]
                for cell, runs in others.items()} for label in METRICS.values()})
        for panel in figure.axes:
            panel.axvline(0, color='0.3', linewidth=0.8, zorder=0)
        figure.savefig(path.with_suffix('.png'), dpi=100)


if __name__ == '__main__':
    main()
