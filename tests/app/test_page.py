"""The app, started by its command line, driven in a real browser and attacked by requests."""
import base64
import gc
import json
import os
import re
import shutil
import signal
import socket
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model
from mmpretrain.models import ImageClassifier

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.configs import apply_settings
from cicam_mm.utils.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'
NAMES = 'cam', 'cicam'
CLASSES = 'uvwxyz'
DOUBLE = 'uvwxyy'
TIMEOUT = 60_000  # milliseconds, for a machine that is busy otherwise
DROP = """({image, name}) => {
    const bytes = Uint8Array.from(atob(image), char => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type: 'image/png'}));
    return data;
}"""


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
        meta = dict(dataset_meta=dict(classes=tuple(DOUBLE if seed else CLASSES)))
        torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / f'{name}.pth')
    photo = np.full((120, 160, 3), (90, 120, 60), np.uint8)
    photo[30:90, 60:130] = 40, 60, 220
    cv2.imwrite(str(folder / 'photo.png'), cv2.GaussianBlur(photo, (0, 0), 2))
    return folder


@contextmanager
def running(server):
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope='module')
def app(needed, folder, run_tool):
    """The app's server, as its command line makes it, past a proxy."""
    servers, handlers = [], {}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as output:
        patch.setenv('all_proxy', 'socks5://127.0.0.1:1')
        try:
            from cicam_mm.app.page import Server
        except UserError:
            needed("no gradio; pip install 'cicam_mm[app]'")
        patch.setattr(Server, 'run', lambda server: servers.append(server))
        patch.setattr(signal, 'signal', handlers.__setitem__)
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        files = [folder / f'{name}.{kind}' for name in NAMES for kind in ('py', 'pth')]
        run_tool('app.py', *files, '--port', port)
    server, = servers
    assert f'Open {server.address} in a browser' in output.getvalue()
    with pytest.raises(SystemExit):  # a usual end, at which Python removes the folder
        handlers[signal.SIGTERM]()
    with running(server):
        yield server


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
    page.locator('div.upload-container').dispatch_event('drop', dict(dataTransfer=data))


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
    expect(box(page, 1)).not_to_have_value('')  # of the example
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

    page.get_by_text('Copy as config').nth(1).click()
    text, content = (page.locator('label', has_text=name).locator('textarea').input_value()
                     for name in ('In a config', 'In a file for --settings'))
    (folder / 'child.py').write_text(f"_base_ = './cicam.py'\n{text}")
    (folder / 'settings.json').write_text(content)
    cfg = Config.fromfile(folder / 'cicam.py')
    apply_settings(cfg, folder / 'settings.json')
    for found in cfg, Config.fromfile(folder / 'child.py'):
        result, = WSOLInferencer(found, str(folder / 'cicam.pth'), 'cpu')(folder / 'photo.png')
        assert result['pred_box'] == other

    assert len(page.requested) > 10
    assert all(url.startswith((app.address, 'data:', 'blob:')) for url in page.requested)


def test_examples_are_test_images_and_unreadable_files_are_explained(page, bomb):
    from playwright.sync_api import expect

    examples = page.locator('.gallery button')
    expect(examples).to_have_count(3)
    expect(box(page, 1)).not_to_have_value('')  # the first one is open
    first = box(page, 1).input_value()
    examples.nth(1).click()
    expect(box(page, 1)).not_to_have_value(first)
    for content, sentence in [
        (b'no image', "'<b>.png' cannot be read: not an image, or of an unknown format; "
         'replace it or leave it out.'),
        (bomb, 'it has 100,000 x 100,000 pixels, more than'),
    ]:
        page.get_by_role('button', name='Remove Image').click()
        drop(page, content, '<b>.png')
        expect(page.get_by_text(sentence)).to_be_visible()
        expect(box(page, 0)).to_have_value('')


def test_no_other_address_listens(app, folder, run_tool):
    port = urlsplit(app.address).port
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(('127.0.0.2', port))
    assert run_tool.error('app.py', folder / 'cam.py', folder / 'cam.pth', '--port', port) == (
        f'nothing can listen at 127.0.0.1, port {port}: it is in use, or not an address of '
        'this machine; take another --port or --host.')


class Client:
    """Asks the server what a browser would not."""
    count = 0

    def __init__(self, address):
        self.address = urlsplit(address).netloc
        self.config = json.loads(self.ask('GET', '/config')[1])
        self.components = {each['id']: each for each in self.config['components']}
        image, = [number for number, each in self.components.items()
                  if each['type'] == 'image' and each['props'].get('interactive') is not False]
        self.handlers = [each for each in self.config['dependencies'] if image in each['inputs']]
        self.image = image

    def ask(self, method, path, body=None, **headers):
        """Status and content of an answer."""
        connection = HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def upload(self, content, **headers):
        """Status of an upload, and the path of what is stored."""
        form = (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
                + content + b'\r\n--x--\r\n')
        status, answer = self.ask('POST', '/gradio_api/upload', form,
                                  **{'Content-Type': 'multipart/form-data; boundary=x'}, **headers)
        return status, json.loads(answer)[0] if status == 200 else answer.decode()

    def call(self, handler, **values):
        """Outputs of a handler, or None if it failed; ``values`` are those of components."""
        Client.count += 1
        data = [values.get(f'at_{number}', self.components[number]['props'].get('value'))
                for number in handler['inputs']]
        session = f'session{Client.count}'
        status, answer = self.ask(
            'POST', '/gradio_api/queue/join',
            json.dumps(dict(data=data, fn_index=handler['id'], session_hash=session)),
            **{'Content-Type': 'application/json'})
        assert status == 200, answer
        lines = self.ask('GET', f'/gradio_api/queue/data?session_hash={session}')[1].splitlines()
        done, = [message for line in lines if line.startswith(b'data: ')
                 if (message := json.loads(line[6:]))['msg'] == 'process_completed']
        return done['output']['data'] if done['success'] else None

    def open(self, file):
        """What each handler makes of a file that a request names."""
        return [self.call(each, **{f'at_{self.image}': file}) for each in self.handlers]


@pytest.fixture(scope='module')
def client(app):
    return Client(app.address)


def file_data(path, **more):
    return dict(path=str(path), orig_name='a.png', **more)


META = dict(meta={'_type': 'gradio.FileData'})


def test_uploads_are_shown_and_classes_of_one_name_told_apart(client, folder):
    status, path = client.upload((folder / 'photo.png').read_bytes())
    assert status == 200
    results = [result_of(folder, name) for name in NAMES]
    both, *each = client.open(file_data(path, url='http://example.com', **META))
    boxes = [shown(result['pred_box']) for result in results]
    assert both[1::5] == [output[1] for output in each] == boxes
    assert client.ask('GET', '/gradio_api/file=' + both[0]['path'])[1].startswith(b'\x89PNG')

    scores = {each['label']: each['confidence'] for each in both[7]['confidences']}
    expected = {f'{label}: {name}': score for label, (name, score) in enumerate(
        zip(DOUBLE, results[1]['pred_scores'], strict=True))}
    assert scores.items() <= expected.items() and len(scores) == 5
    names = [[name for name, _ in each['props']['choices']] for each in client.components.values()
             if each['props'].get('label') == 'Class']
    assert names == [['the predicted one', *CLASSES], ['the predicted one', *expected]]


@pytest.fixture
def traps(client, folder):
    """Paths of images, and of what never ends; none was uploaded."""
    photo = folder / 'photo.png'
    uploaded = Path(client.upload(photo.read_bytes())[1])
    link, *pipes = uploaded.with_name('link'), uploaded.with_name('pipe'), folder / 'pipe'
    link.symlink_to(photo)
    for pipe in pipes:
        os.mkfifo(pipe)
    upwards = f'{uploaded.parent}/{os.path.relpath(photo, uploaded.parent)}'
    yield [*map(str, [photo, os.path.relpath(photo), upwards, f'file://{photo}', link, *pipes,
                      '/dev/zero', uploaded.parent, f'{uploaded}\0', '']),
           None, [str(photo)], file_data(photo)]
    for path in link, *pipes:
        path.unlink()


@pytest.mark.parametrize('meta', [{}, META])
def test_only_uploads_are_opened(client, folder, traps, meta):
    files = [dict(path=path, **meta) for path in traps]
    files += [dict(url=f'file://{folder}/photo.png', **meta), [files[0]], dict(value=files[0]),
              [], {}]
    for file in files:
        assert client.call(client.handlers[0], **{f'at_{client.image}': file}) is None, file


def test_no_request_makes_the_server_ask_others(client, monkeypatch):
    from gradio import processing_utils

    asked = []

    async def record(url, *args, **kwargs):
        asked.append(url)
        raise OSError

    for name in 'async_ssrf_protected_download', 'async_ssrf_protected_get':
        monkeypatch.setattr(processing_utils, name, record)
    evil = file_data('http://example.com/a.png', url='http://example.com/a.png', **META)
    for number in client.handlers[0]['inputs']:
        for value in evil, [evil], {'value': evil}:
            assert client.call(client.handlers[0], **{f'at_{number}': value}) is None
    assert client.open(evil) == [None] * len(client.handlers)
    assert not asked


@pytest.mark.parametrize('path, status', [
    *((f'GET /gradio_api/file={path}', 403) for path in (
        '/etc/hostname', '/dev/zero', '%2fetc%2fhostname')),
    *((f'GET /gradio_api/file={path}', 404) for path in ('../a.png', 'http://example.com/a.png')),
    *((f'GET {path}', 404) for path in ('/monitoring', '/gradio_api/deep_link?session_hash=a',
                                        '/gradio_api/info', '/gradio_api/startup-events')),
    *((f'POST /gradio_api/{path}', 404) for path in (
        'process_recording', 'component_server', 'call/redraw', 'run/redraw', 'api/predict')),
    ('OPTIONS /', 404)])
def test_what_the_page_does_not_need_is_not_there(client, folder, path, status):
    body = dict(data=[file_data(folder / 'photo.png', **META)], session_hash='a',
                fn_index=client.handlers[0]['id'])
    assert client.ask(*path.split(), json.dumps(body) if path.startswith('POST') else None,
                      **{'Content-Type': 'application/json'})[0] == status


@pytest.mark.parametrize('headers', [
    {'Host': 'evil.example'}, {'Host': 'evil.example:7860'}, {'Host': '10.0.0.1'}, {'Host': ''},
    {'Host': 'localhost.evil.example'}, {'Host': 'evil@localhost'}, {'Host': '[::1'},
    {'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Origin': 'http://localhost:1'}])
def test_other_sites_are_refused(client, app, headers):
    from cicam_mm.app.page import FOLDER

    before = {*FOLDER.rglob('*')}
    for method, path in ('GET', '/'), ('GET', '/config'), ('POST', '/gradio_api/queue/join'):
        assert client.ask(method, path, **headers)[0] == 403
    assert client.upload(b'foreign', **headers)[0] == 403
    assert {*FOLDER.rglob('*')} == before


def test_forwarded_ports_and_the_page_itself_are_answered(client):
    for host in 'localhost:1234', '127.0.0.1', '[::1]:7860', 'LOCALHOST':
        assert client.ask('GET', '/', Host=host)[0] == 200
        assert client.ask('GET', '/', Host=host, Origin=f'http://{host}')[0] == 200


def test_requests_are_bounded(client):
    for path, size in ('/gradio_api/upload', 101 * 2**20), ('/gradio_api/queue/join', 2 * 2**20):
        assert client.ask('POST', path, **{'Content-Length': str(size)})[0] == 413
    assert client.ask('POST', '/gradio_api/upload', iter([b'0']))[0] == 413  # sent in chunks


def test_examples_stay_when_old_files_go(app):
    from cicam_mm.app.page import FOLDER

    kept = {Path(path) for block in app.page.blocks.values() for path in block.keep_in_cache}
    named = re.findall(r'"path": "([^"]+)"', json.dumps(app.page.config))
    assert kept >= {path for path in map(Path, named) if FOLDER in path.parents} != set()


@pytest.fixture(scope='module')
def open_app(folder):
    """One to which everyone may connect, with rules that have options; keeps two images."""
    from cicam_mm.app import page

    cfg = Config.fromfile(folder / 'cam.py')
    cfg.model.head.localizer = dict(map_rule=dict(type='topk_mean', k=2), theta=.3,
                                    box_rule=dict(type='eil', resizing='bilinear'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, 'VIEWS', 2)
        patch.setattr(page, 'SESSIONS', 3)
        model = WSOLInferencer(cfg, str(folder / 'cam.pth'), 'cpu')
        server = page.Server(page.build_page({'cam': model}), '0.0.0.0', 0)
    with running(server):
        yield server


def test_kept_images_are_bounded(open_app, folder):
    """By number: a request need not say that its session ends."""
    from cicam_mm.app.view import View

    def views():
        return sum(isinstance(each, View) for each in gc.get_objects())

    before, client = views(), Client(open_app.address)
    photo = cv2.imread(str(folder / 'photo.png'))
    for number in range(5):
        content = cv2.imencode('.png', photo + np.uint8(number))[1].tobytes()
        *_, settings = client.open(file_data(client.upload(content)[1]))[-1]
    assert views() - before == 2
    assert len(open_app.page.state_holder.session_data) == 3
    assert json.loads(settings) == dict(map_rule=dict(type='topk_mean', k=2), theta=.3,
                                        box_rule=dict(type='eil', resizing='bilinear'))


def test_everyone_may_connect_and_nothing_more(open_app, folder):
    assert open_app.address.startswith('http://localhost:')
    client = Client(open_app.address)
    for host, status in [('10.0.0.1:80', 200), (socket.gethostname(), 200), ('[fe80::1]', 200),
                         ('evil.example', 403), (f'{socket.gethostname()}.evil', 403)]:
        assert client.ask('GET', '/', Host=host)[0] == status
    assert client.upload(b'0', Origin='http://evil.example')[0] == 403
    assert client.open(file_data(folder / 'photo.png')) == [None, None]
