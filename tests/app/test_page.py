"""The app, started by its command line and driven in a real browser."""
import base64
import re
import shutil
import socket
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model
from mmpretrain.models import ImageClassifier

from cicam_mm.apis import WSOLInferencer

CONFIGS = Path(__file__).parents[2] / 'configs'
NAMES = 'cam', 'cicam'
CLASSES = 'uvwxyz'
TIMEOUT = 60_000  # milliseconds, for a machine that is busy otherwise
DROP = """({image, name}) => {
    const bytes = Uint8Array.from(atob(image), char => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type: 'image/png'}));
    return data;
}"""


class App(NamedTuple):
    address: str
    page: object
    hosts: list


@pytest.fixture(scope='module')
def browser(needed):
    path = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)
    if path is None:
        needed('no browser; install chromium')
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        needed('no playwright; pip install playwright')
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two models that have learned nothing, and a photo."""
    folder = tmp_path_factory.mktemp('app')
    for seed, name in enumerate(NAMES):
        cfg = Config.fromfile(CONFIGS / ('cicam_tiny_shapes.py' if seed else
                                         'cam/cam_tiny_shapes.py'))
        cfg.model.backbone.init_cfg = None
        cfg.test_dataloader.dataset.num_images = 3
        cfg.dump(folder / f'{name}.py')
        torch.manual_seed(seed)
        model = get_model(cfg)
        torch.nn.init.normal_(model.head.fc.weight)
        meta = dict(dataset_meta=dict(classes=tuple(CLASSES)))
        torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / f'{name}.pth')
    photo = np.full((120, 160, 3), (90, 120, 60), np.uint8)
    photo[30:90, 60:130] = 40, 60, 220
    cv2.imwrite(str(folder / 'photo.png'), cv2.GaussianBlur(photo, (0, 0), 2))
    return folder


@pytest.fixture(scope='module')
def app(needed, folder, run_tool):
    """The app, and the names of the hosts that it has looked up."""
    try:
        import gradio
    except ImportError:
        needed("no gradio; pip install 'cicam_mm[app]'")
    hosts, pages, look_up = [], [], socket.getaddrinfo

    def record(host, *args, **kwargs):
        hosts.append(host)
        return look_up(host, *args, **kwargs)

    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    files = [folder / f'{name}.{kind}' for name in NAMES for kind in ('py', 'pth')]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as output:
        patch.setattr(socket, 'getaddrinfo', record)
        patch.setattr(gradio.Blocks, 'block_thread', lambda page: pages.append(page))
        patch.setenv('GRADIO_TEMP_DIR', str(folder / 'gradio'))
        run_tool('app.py', *files, '--port', port)
        yield App(re.search(r'http://\S+', output.getvalue())[0], pages[0], hosts)
        gradio.close_all()


@pytest.fixture
def page(browser, app):
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT)
    page.requested = []
    page.on('request', lambda request: page.requested.append(request.url))
    page.goto(app.address)
    yield page
    page.close()


@pytest.fixture
def passes(monkeypatch):
    """Collects the models whose network runs."""
    counted, extract = [], ImageClassifier.extract_feat

    def count(self, *args, **kwargs):
        counted.append(self)
        return extract(self, *args, **kwargs)

    monkeypatch.setattr(ImageClassifier, 'extract_feat', count)
    return counted


def drop(page, content, name='photo.png'):
    data = page.evaluate_handle(DROP, dict(image=base64.b64encode(content).decode(), name=name))
    page.locator('button:has(input[type=file])').dispatch_event('drop', dict(dataTransfer=data))


def box(page, number):
    return page.get_by_role('textbox', name='Box: ').nth(number)


def choose(page, label, number, option):
    page.get_by_role('combobox', name=label).nth(number).click()
    page.get_by_role('option', name=option, exact=True).click()


def result_of(folder, name, **localizer):
    """What the command line gives with those settings in the config."""
    cfg = Config.fromfile(folder / f'{name}.py')
    cfg.model.head.localizer = {**cfg.model.head.get('localizer', {}), **localizer}
    result, = WSOLInferencer(cfg, str(folder / f'{name}.pth'), 'cpu')(folder / 'photo.png')
    return result


def shown(box):
    return ', '.join(map(str, box))


def test_settings_redraw_a_dropped_image_without_the_network(page, app, folder, passes):
    from playwright.sync_api import expect

    first, second = (result_of(folder, name)['pred_box'] for name in NAMES)
    moved = result_of(folder, 'cicam', theta=.5)['pred_box']
    other = result_of(folder, 'cicam', theta=.5, map_rule='linear', box_rule='danet')['pred_box']
    at_half = result_of(folder, 'cam', theta=.5)
    boxes = [first, second, moved, other, *at_half['top_boxes'][:2]]
    assert len({*map(tuple, boxes)}) == 6
    passes.clear()

    drop(page, (folder / 'photo.png').read_bytes())
    expect(box(page, 0)).to_have_value(shown(first))
    expect(box(page, 1)).to_have_value(shown(second))
    picture = page.get_by_alt_text('Score map and box of cicam')
    before = picture.get_attribute('src')
    page.get_by_role('spinbutton', name='Theta').nth(1).fill('0.5')
    expect(box(page, 1)).to_have_value(shown(moved))
    expect(picture).not_to_have_attribute('src', before)
    choose(page, 'Map rule', 1, 'linear')
    choose(page, 'Box rule', 1, 'danet')
    expect(box(page, 1)).to_have_value(shown(other))
    expect(box(page, 0)).to_have_value(shown(first))

    page.get_by_role('spinbutton', name='Theta').nth(0).fill('0.5')
    expect(box(page, 0)).to_have_value(shown(at_half['pred_box']))
    choose(page, 'Class', 0, CLASSES[at_half['top_labels'][1]])
    expect(box(page, 0)).to_have_value(shown(at_half['top_boxes'][1]))
    assert [type(model.head).__name__ for model in passes] == ['CAMHead', 'DualCAMHead']

    assert len(page.requested) > 10
    assert all(url.startswith((app.address, 'data:', 'blob:')) for url in page.requested)
    assert {*app.hosts} <= {'127.0.0.1', 'localhost', None}


def test_examples_are_test_images(page):
    from playwright.sync_api import expect

    examples = page.locator('.gallery button')
    expect(examples).to_have_count(3)
    examples.nth(1).click()
    expect(box(page, 1)).not_to_have_value('')


def test_what_is_no_image_is_told(page, folder, bomb):
    from playwright.sync_api import expect

    for content, sentence in [
        (b'no image', "'<b>.png' cannot be read: not an image, or of an unknown format; "
         'replace it or leave it out.'),
        (bomb, 'it has 100,000 x 100,000 pixels, more than'),
    ]:
        drop(page, (folder / 'photo.png').read_bytes())
        expect(box(page, 0)).not_to_have_value('')
        page.get_by_role('button', name='Remove Image').click()
        drop(page, content, '<b>.png')
        expect(page.get_by_text(sentence)).to_be_visible()
        expect(box(page, 0)).to_have_value('')
        page.get_by_role('button', name='Remove Image').click()


def test_files_that_are_too_large_are_told(page, app, folder, monkeypatch):
    from playwright.sync_api import expect

    assert app.page.max_file_size == 100 * 2**20
    monkeypatch.setattr(app.page, 'max_file_size', 100)
    drop(page, (folder / 'photo.png').read_bytes())
    sentence = 'File size exceeded maximum allowed size of 100 bytes'
    expect(page.get_by_text(sentence)).to_be_visible()


def test_no_other_address_listens(app):
    address = urlsplit(app.address)
    assert address.hostname == '127.0.0.1'
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(('127.0.0.2', address.port))


def test_a_port_in_use_is_told(app, folder, run_tool):
    port = urlsplit(app.address).port
    assert run_tool.error('app.py', folder / 'cam.py', folder / 'cam.pth', '--port', port) == (
        f'nothing can listen at 127.0.0.1, port {port}: it is in use, or no address of this '
        'machine; take another --port or --host.')
