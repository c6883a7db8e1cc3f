"""The command ``cicam_mm``: finds the tools and starts one.

It is outside the package, whose import takes seconds, so that help and mistakes answer at once.
"""
import ast
import runpy
import sys
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    folder = Path(find_spec('cicam_mm').submodule_search_locations[0]) / '.mim' / 'tools'
    tools = {path.stem: path for path in sorted(folder.glob('[!_]*.py'))}
    name, *arguments = sys.argv[1:] or ['--help']
    if name in ('-h', '--help'):
        print('usage: cicam_mm TOOL [arguments]\n\nWeakly supervised object localization.\n')
        for tool, path in tools.items():
            line = ast.get_docstring(ast.parse(path.read_text())).split('\n')[0]
            print(f'  {tool:17} {line.partition(":")[0].rstrip(".")}')
        print("\nExample: cicam_mm infer photos\n'cicam_mm TOOL --help' explains a tool.")
        return
    script = tools.get(name, Path(name))
    if not script.is_file():
        near = get_close_matches(name, tools, n=1)
        sys.exit(f'error: there is no tool {name!r}; ' + (
            f'did you mean {near[0]}?' if near else f'known are {", ".join(tools)}'))
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))  # as Python does for a script
    runpy.run_path(str(script), run_name='__main__')


if __name__ == '__main__':
    main()
