"""Links lead somewhere, and commands name tools, options and configs that exist."""
import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '*.md'], cwd=ROOT,
                       capture_output=True, text=True, check=True).stdout.split()
PAGES = {name: (ROOT / name).read_text() for name in FILES if (ROOT / name).is_file()}
LINK = re.compile(r'\]\(([^)\s]+)\)')
BASH = re.compile(r'^```(?:bash|sh)\n(.*?)^```', re.MULTILINE | re.DOTALL)
CODE = re.compile(r'^```.*?^```|^    .*?$', re.MULTILINE | re.DOTALL)


def anchors(text):
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r'^#+ (.+)$', CODE.sub('', text), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('name', PAGES)
def test_links_lead_somewhere(name):
    for link in LINK.findall(CODE.sub('', PAGES[name])):
        if '://' in link or link.startswith('mailto:'):
            continue
        path, _, anchor = link.partition('#')
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f'{name} links to {link}'
        if anchor:
            assert anchor in anchors(target.read_text()), f'{name} links to {link}'


def commands():
    """Words of each command in a page that starts a tool, with the page."""
    for name, text in PAGES.items():
        for block in BASH.findall(text):
            for line in block.replace('\\\n', ' ').splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ['cicam_mm']:
                    words = [f'tools/{words[1]}.py', *words[2:]]
                tools = [i for i, word in enumerate(words) if word.startswith('tools/')]
                if tools:
                    yield name, words[tools[0]:]


COMMANDS = list(commands())


@pytest.fixture(scope='module')
def options(run_tool):
    """The options of a tool, by its ``--help``; None for shell scripts, which pass them on."""
    known = {}

    def options(tool, capsys):
        if tool.endswith('.sh'):
            return None
        if tool not in known:
            with suppress(SystemExit):
                run_tool(Path(tool).name, '--help')
            known[tool] = set(re.findall(r'--[\w-]+', capsys.readouterr().out))
        return known[tool]

    return options


@pytest.mark.parametrize('name, words', COMMANDS, ids=[
    f'{name}: {" ".join(words)[:60]}' for name, words in COMMANDS])
def test_commands_exist(name, words, options, capsys):
    assert (ROOT / words[0]).is_file()
    known = options(words[0], capsys)
    for word in words[1:]:
        if known is not None and word.startswith('--'):
            assert word.partition('=')[0] in known
        for config in re.findall(r'(?<![\w./-])configs/[\w./-]+\.py', word):
            assert (ROOT / config).is_file(), config
