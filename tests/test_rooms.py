"""The house: rooms of the package, the floors they are on, and no import that leads up."""
import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'cicam_mm'
#: All files but the links in .mim to configs and tools.
FILES = [path for path in PACKAGE.rglob('*.py') if '.mim' not in path.parts]
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file()}


def imported(path):
    """Dotted names that a file imports, those inside functions too."""
    folder = ('cicam_mm', *path.relative_to(PACKAGE).parts[:-1]) if PACKAGE in path.parents else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[:len(folder) - node.level + 1] if node.level else ()
            base = '.'.join([*above, *([node.module] if node.module else [])])
            yield from (f'{base}.{alias.name}' for alias in node.names)


def rooms_of(files):
    parts = (name.split('.') for path in files for name in imported(path))
    return {part[1] for part in parts if part[0] == 'cicam_mm' and len(part) > 1} & ROOMS


BELOW = {room: rooms_of((PACKAGE / room).rglob('*.py')) - {room} for room in ROOMS}


@cache
def floor(room):
    assert room not in BELOW[room]
    return 1 + max(map(floor, BELOW[room]), default=0)


def test_twelve_rooms_and_nothing_loose():
    assert len(ROOMS) <= 12
    assert {path.stem for path in PACKAGE.glob('*.py')} == {'__init__', '__main__', 'version'}
    assert {len(path.relative_to(PACKAGE).parts) for path in FILES} == {1, 2}  # rooms are flat


def test_six_floors_with_the_tools():
    # a circle of rooms would not end
    assert 1 + max(map(floor, ROOMS)) <= 6, {room: floor(room) for room in ROOMS}
    assert floor('utils') == 1


def test_who_does_not_know_whom():
    assert not BELOW['localization'] & {'datasets', 'evaluation'}
    assert 'sweep' not in BELOW['visualization']
    outside = {name for path in FILES for name in imported(path)}
    assert not {name.split('.')[0] for name in outside} & {'tools', 'benchmarks', 'tests', 'docs'}


def test_no_circles_inside_rooms():
    for room in ROOMS:
        files = {path.stem: path for path in (PACKAGE / room).glob('*.py')}
        below = {stem: {name.split('.')[2] for name in imported(path)
                        if name.startswith(f'cicam_mm.{room}.')} & files.keys() - {stem}
                 for stem, path in files.items() if stem != '__init__'}

        # files that import only what is gone go, until none is left or a circle is
        while free := [stem for stem in below if not below[stem] & below.keys()]:
            below = {stem: below[stem] for stem in below.keys() - {*free}}
        assert not below, room


def test_names_mean_one_thing():
    """No two modules of one name, and no two public classes."""
    modules = [path.stem for path in FILES if not path.stem.startswith('__')]
    classes = [node.name for path in FILES for node in ast.parse(path.read_text()).body
               if isinstance(node, ast.ClassDef) and not node.name.startswith('_')]
    for names in modules, classes:
        assert not {name for name in names if names.count(name) > 1}
