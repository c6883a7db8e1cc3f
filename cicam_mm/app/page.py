"""The page: an image, and beside it what each model makes of it; and the server of the page."""
import html
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import numpy as np

from cicam_mm.apis import WSOLInferencer
from cicam_mm.localization import BOX_RULES, MAP_RULES
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.io import read_bytes
from cicam_mm.visualization import STYLES, Style, class_name, draw_panel

from .view import View, localize_again, look

# gradio reads the variable as it is imported; nobody else can put links into this folder
_TEMPORARY = TemporaryDirectory(prefix='cicam_mm-')
#: All that gradio stores: uploads, pictures and examples.
FOLDER = Path(_TEMPORARY.name).resolve()
os.environ['GRADIO_TEMP_DIR'] = str(FOLDER)
# and makes clients, which fail with a SOCKS proxy; the page calls nobody
_proxies = {name: os.environ.pop(name) for name in [*os.environ]
            if name.lower().endswith('_proxy')}
try:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI
    from starlette.datastructures import Headers
    from starlette.responses import PlainTextResponse
except ModuleNotFoundError as error:
    raise UserError("the app needs gradio; install it with pip install 'cicam_mm[app]'."
                    ) from error
finally:
    os.environ.update(_proxies)

COLUMN_WIDTH = 300
PREDICTED = 'the predicted one'
#: Most bytes of an image's file, and of another request.
MAX_UPLOAD, MAX_REQUEST = 100 * 2**20, 2**20
#: Seconds that a file stays after its last use.
CACHE_AGE = 3600
#: Most images whose maps are kept, requests that wait, and sessions.
VIEWS, WAITING, SESSIONS = 32, 64, 256


class Page(gr.Blocks):
    """Handlers get plain values and files of the folder, whatever a request names."""

    async def preprocess_data(self, block_fn, inputs, *args, **kwargs):
        inputs = [_stored(value) if isinstance(value, (dict, list)) else value for value in inputs]
        return await super().preprocess_data(block_fn, inputs, *args, **kwargs)


def _stored(value):
    try:
        path = Path(value['path']).resolve(strict=True)
        if not (path.is_relative_to(FOLDER) and path.is_file()):
            raise FileNotFoundError
        os.utime(path)
        return dict(path=str(path), orig_name=value.get('orig_name'),
                    meta={'_type': 'gradio.FileData'})
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):
        raise gr.Error('This image is not stored here, or no longer; open it again.',
                       print_exception=False) from None


def build_page(models: Mapping[str, WSOLInferencer],
               examples: Sequence[str | np.ndarray] = (),
               style: Style = STYLES['paper']) -> Page:
    """Make the page, with a column for each of the models; :class:`Server` serves it.

    It opens with the first of the examples: files, or arrays as OpenCV has them, BGR.
    """
    examples = [each if isinstance(each, str) else each[..., ::-1] for each in examples]
    with Page(title='cicam_mm', fill_width=True, analytics_enabled=False,
              delete_cache=(CACHE_AGE, CACHE_AGE)) as page:
        with gr.Row():
            with gr.Column(min_width=COLUMN_WIDTH):
                image = gr.Image(
                    examples[0] if examples else None, label='Image', format='png',
                    type='filepath', image_mode=None, height=COLUMN_WIDTH,
                    sources=['upload', 'clipboard'])
                if examples:
                    gr.Examples(examples, image, cache_examples=False, api_visibility='private')
            columns = [_Column(number, *named, style)
                       for number, named in enumerate(models.items())]

        lock = Lock()  # networks are not thread-safe

        @lru_cache(VIEWS)
        def look_at(path, name):
            return look([*models.values()], partial(read_bytes, path), name, style)

        def view_of(file):
            try:
                with lock:
                    return file and look_at(file['path'], file['orig_name'] or 'the image')
            except Exception as error:
                if (sentence := as_sentence(error)) is None:
                    raise
                gr.Warning(html.escape(sentence, quote=False), duration=None)

        def redraw(shown, file, *values):
            view, values = view_of(file), iter(values)
            return [output for column in shown
                    for output in column.redraw(view, *(next(values) for _ in column.settings))]

        def redraw_on(events, shown, **progress):
            # preprocess: gradio's own errors while reading images are no sentences
            gr.on(events, partial(redraw, shown),
                  [image, *(setting for column in shown for setting in column.settings)],
                  [output for column in shown for output in column.outputs],
                  trigger_mode='always_last', preprocess=False, api_visibility='private',
                  **progress)

        redraw_on([page.load, image.change], columns,
                  show_progress_on=[column.outputs[0] for column in columns])
        for column in columns:
            redraw_on([setting.input for setting in column.settings], [column],
                      show_progress='hidden')
    return page


def _map_rules_for(head):
    """The map rules that a model has enough classes for."""
    for rule in MAP_RULES.module_dict:
        with suppress(UserError):
            head.localizer.with_settings(map_rule=rule).check(head.num_classes)
            yield rule


def _by_name(names, own):
    """Rules by their name on the page; ``own`` is that of the config, which may have options."""
    rules = {} if isinstance(own, str) else {f'{own["type"]}, of the config': own}
    return rules | {name: name for name in names}


def _class_names(model):
    """A name for each class, with its number where names alone do not tell classes apart."""
    names = [class_name(label, model.classes) for label in range(model.model.head.num_classes)]
    if len({PREDICTED, *names}) > len(names):
        return names
    return [f'{label}: {name}' for label, name in enumerate(names)]


def _copied(localizer):
    """How it localizes, as a config has it, and as the content of a file for ``--settings``."""
    settings = {key: getattr(localizer, key) for key in ('map_rule', 'box_rule', 'theta')}
    values = ', '.join(f'{key}={value!r}' for key, value in settings.items())
    return (f'model = dict(head=dict(localizer=dict({values})))',
            json.dumps(settings, default=repr))


class _Column:
    """A model's picture, box and scores, and its settings, also as texts to copy."""

    def __init__(self, number, name, model, style):
        self.number, self.style = number, style
        self.localizer = localizer = model.model.head.localizer
        self.names = _class_names(model)
        self.map_rules = _by_name(_map_rules_for(model.model.head), localizer.map_rule)
        self.box_rules = _by_name(BOX_RULES, localizer.box_rule)
        with gr.Column(min_width=COLUMN_WIDTH):
            gr.Markdown(f'### {name}')
            picture = gr.Image(show_label=False, format='png', interactive=False,
                               alt_text=f'Score map and box of {name}',
                               buttons=['download', 'fullscreen'])
            box = gr.Textbox(label='Box: x0, y0, x1, y1 in pixels of the image',
                             interactive=False)
            theta = gr.Slider(0, .99, localizer.theta, step=.01, label='Theta')
            with gr.Row():
                map_rule, box_rule = (
                    gr.Dropdown([*rules], label=label, min_width=120,
                                value=next(name for name, rule in rules.items() if rule == own))
                    for rules, own, label in (
                        (self.map_rules, localizer.map_rule, 'Map rule'),
                        (self.box_rules, localizer.box_rule, 'Box rule')))
            label = gr.Dropdown([PREDICTED, *self.names], label='Class',
                                info='With map rule top1; the others combine all')
            scores = gr.Label(label='Scores', num_top_classes=5, show_heading=False)
            with gr.Accordion('Copy as config', open=False):
                texts = [gr.Textbox(text, label=label, lines=2, buttons=['copy'],
                                    interactive=False)
                         for text, label in zip(_copied(localizer), (
                             'In a config', 'In a file for --settings'), strict=True)]
        self.settings = [theta, map_rule, box_rule, label]
        self.outputs = [picture, box, scores, *texts]

    def redraw(self, view: View | None, theta, map_rule, box_rule, label):
        localizer = self.localizer.with_settings(
            map_rule=self.map_rules[map_rule], box_rule=self.box_rules[box_rule], theta=theta)
        if view is None:
            return None, '', None, *_copied(localizer)
        kept = view.kept[self.number]
        score_map, box = localize_again(
            kept, localizer, None if label == PREDICTED else self.names.index(label))
        picture = draw_panel(view.panel, view.panel.shape[:2], self.style, score_map,
                             predictions=box, frame=kept.sample.ori_shape)
        scores = dict(zip(self.names, kept.sample.pred_score.tolist(), strict=True))
        return picture, ', '.join(map(str, box)), scores, *_copied(localizer)


class Server(uvicorn.Server):
    """Serves a page at an address or name of this machine; port 0 takes a free one.

    ``address`` is where to find the page.
    """

    def __init__(self, page: Page, host: str, port: int):
        host = host.strip('[]')
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
        except (OSError, OverflowError) as error:
            raise UserError(f'nothing can listen at {host}, port {port}: it is in use, or not an '
                            'address of this machine; take another --port or --host.') from error
        own, port, *_ = self._socket.getsockname()
        shown = 'localhost' if ip_address(own).is_unspecified else host
        self.address = f'http://{f"[{shown}]" if ":" in shown else shown}:{port}/'
        self.page = page
        # as gradio's launch would
        page.state_session_capacity = SESSIONS
        page.queue(max_size=WAITING, api_open=False)
        app = gr.mount_gradio_app(
            FastAPI(openapi_url=None), page, '/', max_file_size=MAX_UPLOAD, show_error=False,
            enable_monitoring=False, mcp_server=False, pwa=False, ssr_mode=False,
            run_history=False, footer_links=[])
        super().__init__(uvicorn.Config(
            Guard(app, host, ip_address(own).is_loopback), log_level='warning', ws='none',
            timeout_graceful_shutdown=1))

    def run(self) -> None:
        super().run([self._socket])


#: What the page asks for; gradio has much more: proxies, recordings, deep links.
ROUTES = re.compile(
    r'(GET|HEAD) (/|/(config|theme\.css|manifest\.json|favicon\.ico)|/(assets|static)/.+'
    r'|/gradio_api/(queue/data|upload_progress|file=/.+))'
    r'|POST /gradio_api/(upload|queue/join|run/predict)')


class Guard:
    """ASGI middleware: refuses other sites, unknown routes and requests that are too large."""

    def __init__(self, app, host, is_loopback):
        self.app, self.is_loopback = app, is_loopback
        name = socket.gethostname().lower()
        self.names = {'localhost', host.lower(), *(() if is_loopback else (name, f'{name}.local'))}

    async def __call__(self, scope, receive, send):
        refusal = scope['type'] == 'http' and self._refusal(
            scope['method'], scope['path'], Headers(scope=scope))
        app = PlainTextResponse(*refusal) if refusal else self.app
        await app(scope, receive, send)

    def _refusal(self, method, path, headers):
        """Text and status of the answer; None for what the page itself asks."""
        host = headers.get('host', '').lower()
        if not self._is_own(re.sub(r':\d+$', '', host)):
            return ("This page does not answer to that name; use the machine's address, or start "
                    'the app with --host NAME.', 403)
        if headers.get('origin', f'http://{host}').lower() not in (f'http://{host}',
                                                                   f'https://{host}'):
            return 'This page accepts no requests from other sites.', 403
        if not ROUTES.fullmatch(f'{method} {path}'):
            return 'There is no such page.', 404
        # forms add some lines to a file
        limit = MAX_UPLOAD + 2**16 if path.endswith('/upload') else MAX_REQUEST
        if 'transfer-encoding' in headers or int(headers.get('content-length', 0)) > limit:
            return 'The request is too large, or does not say how large it is.', 413
        return None

    def _is_own(self, name):
        """Whether this machine has that name; other sites can let theirs point here, too."""
        with suppress(ValueError):  # no site can make a browser take an address for its name
            return ip_address(name.strip('[]')).is_loopback or not self.is_loopback
        return name in self.names
