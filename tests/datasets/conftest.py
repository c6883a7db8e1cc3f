import pytest


@pytest.fixture
def root(tmp_path, request):
    """A folder with the texts of the test module's FILES."""
    for name, text in request.module.FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def edit(root):
    """Replaces a part of one of these texts."""
    def edit(name, old, new):
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return edit


@pytest.fixture
def said(monkeypatch):
    """What the log says about class folders."""
    said = []
    monkeypatch.setattr('cicam_mm.datasets.classes.print_log', lambda text, *_: said.append(text))
    return said
