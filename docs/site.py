"""What the site has beyond the pages of docs/: a page for each component, and the README files.

mkdocs runs this file twice: as a script of gen-files, and for its hook ``on_page_markdown``.
"""
import ast
import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)')


def page_of(path: Path) -> str | None:
    """The page that a file of the repository has on the site."""
    path = path.relative_to(ROOT).as_posix()
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    if path == 'README.md':
        return 'index.md'
    return path if path.endswith('.md') else None


def file_of(page: str) -> Path:
    """The file of the repository behind a page."""
    own = ROOT / 'docs' / page
    return ROOT / 'README.md' if page == 'index.md' else own if own.exists() else ROOT / page


def on_page_markdown(markdown, page, config, files):
    """Let links lead to pages of the site; those to other files of the repository become text."""
    source = file_of(page.file.src_uri)

    def relink(match):
        picture, text, target, anchor = match.groups(default='')
        if '://' in target or target.startswith('mailto:'):
            return match[0]
        path = (source.parent / target).resolve()
        path = path / 'README.md' if path.is_dir() else path
        found = page_of(path) if path.is_relative_to(ROOT) else None
        if found is None or files.get_file_from_path(found) is None:
            return text
        relative = os.path.relpath(found, os.path.dirname(page.file.src_uri) or '.')
        return f'{picture}[{text}]({relative}{anchor})'

    return LINK.sub(relink, markdown) if source.exists() else markdown


def on_page_content(html, page, config, files):
    """Roles of reStructuredText in docstrings, such as :class:, are left out."""
    return re.sub(r':(?:class|func|meth):(?=<code>)', '', html)


def components():
    """Dotted names of what the rooms of the package export, by room."""
    for init in sorted((ROOT / 'cicam_mm').glob('*/__init__.py')):
        for node in ast.parse(init.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                for alias in node.names:
                    yield init.parent.name, alias.name, (
                        f'cicam_mm.{init.parent.name}.{node.module}.{alias.name}')


def main():
    import mkdocs_gen_files

    outside = [ROOT / name for name in ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md',
                                        'SECURITY.md')]
    for path in [*outside, *sorted(ROOT.glob('configs/**/README.md'))]:
        with mkdocs_gen_files.open(page_of(path), 'w') as file:
            file.write(path.read_text())
    rooms = {}
    for room, name, dotted in components():
        rooms.setdefault(room, []).append(name)
        with mkdocs_gen_files.open(f'components/{name}.md', 'w') as file:
            file.write(f'::: {dotted}\n')
    with mkdocs_gen_files.open('components/index.md', 'w') as file:
        file.write('# Every component\n')
        for room, names in rooms.items():
            links = ', '.join(f'[{name}]({name}.md)' for name in sorted(names))
            file.write(f'\n**{room}**: {links}\n')


if __name__ == '<run_path>':  # as gen-files runs a script
    main()
