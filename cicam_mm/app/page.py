"""The page: an image, and beside it what each model makes of it."""
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cicam_lite import BOX_RULES
from cicam_mm.apis.inferencer import WSOLInferencer
from cicam_mm.localization.map_rules import MAP_RULES
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.visualization.overlay import STYLES, Style
from cicam_mm.visualization.visualizer import class_name

from .view import View, draw, localize_again, look

try:
    import gradio as gr
except ImportError as error:
    raise UserError("the app needs gradio; install it with pip install 'cicam_mm[app]'."
                    ) from error

COLUMN_WIDTH = 300

PREDICTED = -1

# Seconds that files of a session stay on the disk.
CACHE_AGE = 3600


def build_page(models: Mapping[str, WSOLInferencer],
               examples: Sequence[str | np.ndarray] = (),
               style: Style = STYLES['paper']) -> gr.Blocks:
    """Make the page; ``launch`` of what is returned serves it.

    Args:
        models (Mapping[str, WSOLInferencer]): The models by their names, from left to right.
        examples (Sequence[str | np.ndarray]): Images to click on: files, or arrays as OpenCV has
            them, BGR. Defaults to none.
        style (Style): Colours. Defaults to the paper's.
    """
    with gr.Blocks(title='cicam_mm', fill_width=True, analytics_enabled=False,
                   delete_cache=(CACHE_AGE, CACHE_AGE)) as page:
        view = gr.State()
        with gr.Row():
            with gr.Column(min_width=COLUMN_WIDTH):
                image = gr.Image(label='Image', type='filepath', format='png', image_mode=None,
                                 height=COLUMN_WIDTH, sources=['upload', 'clipboard'])
                if examples:
                    gr.Examples([each if isinstance(each, str) else each[..., ::-1]
                                 for each in examples], image)
            pictures = [_add_column(number, name, model, view, style)
                        for number, (name, model) in enumerate(models.items())]

        def open_image(file):
            return _open(file, [*models.values()], style)

        # without gradio's own reading of images, whose errors are no sentences
        image.change(open_image, image, view, preprocess=False, show_progress_on=pictures)
    return page


def map_rules_for(model: WSOLInferencer) -> list[str]:
    """The map rules that a model has enough classes for."""
    return [rule for rule in MAP_RULES.module_dict if _fits(rule, model.model.head)]


def _fits(rule, head):
    try:
        head.localizer.with_settings(map_rule=rule).check(head.num_classes)
    except UserError:
        return False
    return True


def _open(file: Mapping | None, models: Sequence[WSOLInferencer], style: Style) -> View | None:
    if file is None:
        return None
    try:
        name = file['orig_name'] or 'the image'
        return look(models, Path(file['path']).read_bytes, name, style)
    except Exception as error:
        if (sentence := as_sentence(error)) is None:
            raise
        gr.Warning(html.escape(sentence, quote=False), duration=None)
        return None


def _add_column(number, name, model, view, style):
    """A model's picture, which is returned, and its settings."""
    head = model.model.head
    localizer = head.localizer
    names = [class_name(label, model.classes) for label in range(head.num_classes)]
    with gr.Column(min_width=COLUMN_WIDTH):
        gr.Markdown(f'### {name}')
        picture = gr.Image(show_label=False, format='png', interactive=False,
                           alt_text=f'Score map and box of {name}',
                           buttons=['download', 'fullscreen'])
        box = gr.Textbox(label='Box: x0, y0, x1, y1 in pixels of the image', interactive=False)
        theta = gr.Slider(0, .99, localizer.theta, step=.01, label='Theta')
        with gr.Row():
            map_rule = gr.Dropdown(
                map_rules_for(model), value=localizer.map_rule, label='Map rule', min_width=120)
            box_rule = gr.Dropdown(
                [*BOX_RULES], value=localizer.box_rule, label='Box rule', min_width=120)
        label = gr.Dropdown(
            [('the predicted one', PREDICTED),
             *((name, label) for label, name in enumerate(names))],
            value=PREDICTED, label='Class', info='With map rule top1; the others combine all')
        classes = gr.Label(label='Scores', num_top_classes=5, show_heading=False)
    settings = [theta, map_rule, box_rule, label]

    def redraw(view, theta, map_rule, box_rule, label):
        if view is None:
            return None, '', None
        kept = view.kept[number]
        found = localize_again(kept, localizer.with_settings(
            map_rule=map_rule, box_rule=box_rule, theta=theta),
                               None if label == PREDICTED else label)
        scores = dict(zip(names, kept.sample.pred_score.tolist(), strict=True))
        return (draw(view.panel, found, kept.sample.ori_shape, style),
                ', '.join(map(str, found.box)), scores)

    gr.on([view.change, *(setting.input for setting in settings)], redraw, [view, *settings],
          [picture, box, classes], show_progress='hidden', trigger_mode='always_last')
    return picture
