"""The table from the paper's symbols to the code names what is there."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / 'docs' / 'equations.md').read_text().splitlines()
        if line.startswith('| ') and '.py`' in line]
SOURCES = {path: path.read_text() for folder in ('cicam_mm', 'cicam_lite', 'docs/study')
           for path in (ROOT / folder).rglob('*.py')}


def test_all_equations_are_there():
    text = '\n'.join(ROWS) + (ROOT / 'docs' / 'equations.md').read_text()
    assert all(f'Eq. {number}' in text for number in range(1, 10))


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.split('|')[1].strip())
def test_code_is_where_the_table_says(row):
    names = re.findall(r'`([\w./]+)`', row.split('|')[3])
    files = [name for name in names if name.endswith('.py')]
    paths = [path for path in SOURCES if any(str(path).endswith(f'/{name}') for name in files)]
    assert len(paths) == len(files)
    for name in set(names) - set(files):
        owner, _, attribute = name.rpartition('.')
        text = next(t for t in SOURCES.values() if f'class {owner}' in t or (
            not owner and re.search(rf'(class|def) {name}\b', t)))
        assert re.search(rf'(def |self\.|register_buffer\(.){attribute}\b', text) or not owner
