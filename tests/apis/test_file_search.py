import os

import pytest

from cicam_mm.apis.inputs import files_below, files_matching


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files, a pipe, and links: to a folder beside, to one above, to nothing, to itself."""
    for name in ('b.png', 'a.png', 'a/b.png', 'a-b.png', 'a/z/c.jpg', 'x/[1].png', '.h.png',
                 '.cache/d.png', 'two\nlines .png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'x' / 'up').symlink_to(tmp_path)
    (tmp_path / 'x' / 'side').symlink_to(tmp_path / 'a')
    (tmp_path / 'lost').symlink_to('nowhere')
    (tmp_path / 'self').symlink_to('self')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_order_is_that_of_the_paths_and_no_link_leads_round(tree):
    found = [*files_below('.')]
    assert found == sorted(found) == [f'./{name}' for name in (
        'a-b.png', 'a.png', 'a/b.png', 'a/z/c.jpg', 'b.png', 'lost', 'pipe', 'self',
        'two\nlines .png', 'x/[1].png', 'x/side/b.png', 'x/side/z/c.jpg')]
    assert [*files_below('lost')] == ['lost']


@pytest.mark.parametrize(('pattern', 'names'), [
    ('*.png', ['a-b.png', 'a.png', 'b.png', 'two\nlines .png']),
    ('[ab]*/*', ['a/b.png']),  # no folders
    ('*/z/*.jpg', ['a/z/c.jpg']),
    ('x/[[]1].png', ['x/[1].png']),
    ('**/*.jpg', ['a/z/c.jpg', 'x/side/z/c.jpg']),
    ('**/z/*', ['a/z/c.jpg', 'x/side/z/c.jpg']),
    ('*/**/b.png', ['a/b.png', 'x/side/b.png']),
    ('x/**/**/*.png', ['x/[1].png', 'x/side/b.png']),
    ('a/**', ['a/b.png', 'a/z/c.jpg']),
    ('none/**/*', []),
])
def test_globs(tree, pattern, names):
    assert [*files_matching(pattern)] == names
