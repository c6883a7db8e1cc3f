import runpy
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
NAMES_OF = runpy.run_path(str(ROOT / 'tools' / 'app.py'))['names_of']


def test_names_tell_models_apart():
    assert NAMES_OF([('configs/cam.py', 'a/b/epoch_1.pth'), ('cicam.py', 'a/b/epoch_1.pth'),
                     ('other/cam.py', 'a/c/epoch_1.pth')]) == [
        'cam, b/epoch_1.pth', 'cicam', 'cam, c/epoch_1.pth']


def test_every_config_needs_a_checkpoint(run_tool):
    config = ROOT / 'configs/cicam_tiny_shapes.py'
    assert run_tool.error('app.py', config) == f'{config} needs a checkpoint; give its path.'


def test_without_gradio(run_tool, monkeypatch):
    monkeypatch.delitem(sys.modules, 'cicam_mm.app.page', raising=False)
    monkeypatch.setitem(sys.modules, 'gradio', None)
    assert run_tool.error('app.py', 'a.py', 'a.pth') == (
        "the app needs gradio; install it with pip install 'cicam_mm[app]'.")


def test_without_models_it_opens_with_photos(run_tool, monkeypatch):
    from cicam_mm.app import page

    shown = []
    monkeypatch.setattr(signal, 'signal', lambda *_: None)
    monkeypatch.setattr(page, 'build_page', lambda _, examples, style: shown.extend(examples))
    monkeypatch.setattr(page, 'Server', lambda *_: SimpleNamespace(address='', run=lambda: None))
    run_tool('app.py')
    assert [Path(each).stem for each in shown] == ['cat', 'coffee', 'flower', 'hopper']
