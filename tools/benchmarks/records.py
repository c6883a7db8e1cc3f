"""What was measured, one file a machine, and the table of all of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cicam_mm.utils.io import to_json, write_atomically

from .timing import Row

FOLDER = Path(__file__).parents[2] / 'docs' / 'benchmarks'
HEAD = """# Measured

Made by `python tools/benchmark.py --keep NAME`, which writes `NAME.json` here, and this page from
all such files. Each column is a machine, or a setting of one. A cell is the ratio to the first row
of its group, from turns in one process (ranks and memory: in processes of their own), and in
brackets the value of that machine and moment. What a machine was not asked for is missing.
[Performance](../performance.md) says what the rows are.
"""


def keep(name: str, machine: dict[str, str], rows: Sequence[Row], folder: Path = FOLDER) -> Path:
    """Write rows into a machine's file, in place of those of the same subject, and the page."""
    path = folder / f'{name}.json'
    known = json.loads(path.read_text())['rows'] if path.exists() else []
    measured = {row.subject for row in rows}
    known = [row for row in known if row['subject'] not in measured]
    record = dict(machine=machine, rows=known + [asdict(row) for row in rows])
    write_atomically(path, to_json(record, indent=1) + '\n')
    write_atomically(folder / 'README.md', build_page(folder))
    return path


def build_page(folder: Path = FOLDER) -> str:
    """The page of a folder's files, as Markdown."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))}
    lines = [HEAD, _line('', *records), _line(*['---'] * (len(records) + 1))]
    machines = [record['machine'] for record in records.values()]
    lines += [_line(item, *(machine.get(item, '') for machine in machines))
              for item in dict.fromkeys(item for machine in machines for item in machine)]
    cells = {}
    for name, record in records.items():
        for row in record['rows']:
            value = f'{row["ratio"]:.2f} ({spell(row["figure"])} {row["unit"]})'
            cells.setdefault(row['subject'], {}).setdefault(row['variant'], {})[name] = value
    for subject, variants in cells.items():
        lines += [f'\n## {subject[0].upper()}{subject[1:]}\n', _line('', *records),
                  _line(*['---'] * (len(records) + 1))]
        lines += [_line(variant, *(found.get(name, '') for name in records))
                  for variant, found in variants.items()]
    return '\n'.join(lines) + '\n'


def spell(figure: float) -> str:
    """Three digits, never with an exponent."""
    return f'{figure:,.0f}' if figure >= 100 else f'{figure:.3g}'


def _line(*cells):
    return f'| {" | ".join(cells)} |'
