"""Predictions drawn on their images, through MMEngine's visualizer and hooks."""
import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.fileio import join_path
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS, VISUALIZERS
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer

from cicam_lite import get_box_rule, resize_maps
from cicam_mm.datasets.wrappers import metainfo_of
from cicam_mm.localization.overlap import best_iou
from cicam_mm.utils.errors import UserError

from .caption import centered, draw_color_bar, draw_text, flow
from .overlay import STYLES, Style, color_table, draw_panel, get_style
from .pictures import PictureSource, sample_name, write_picture

#: Images whose longer side is below this many pixels are enlarged by an integer factor.
MIN_SIDE = 384

#: Larger images are drawn at this size, to save disk space.
MAX_DRAWN = 4_000_000

#: Minimum width of a caption, in font sizes; narrower images get white sides.
MIN_CAPTION = 20


@VISUALIZERS.register_module()
class LocalizationVisualizer(UniversalVisualizer):
    """mmpretrain's visualizer, extended to localizations; works with MMEngine's backends.

    Args:
        style (str | dict): A style's name, 'paper' or 'color_blind', or attributes of a Style.
    """

    def __init__(self, name: str = 'visualizer', style: str | dict = 'paper', **kwargs):
        super().__init__(name, **kwargs)
        self.style = get_style(style)

    def add_datasample(self, name: str, image: np.ndarray, data_sample: DataSample,
                       classes: Sequence[str] | None = None, out_file: str | None = None,
                       step: int = 0) -> np.ndarray:
        """Write the picture of :func:`draw_sample` to ``out_file`` or to the backends.

        In distributed runs every rank writes files, but only the first writes to the backends.
        Names of classes default to those of the data set, if the runner has set them.
        """
        classes = classes or (self.dataset_meta or {}).get('classes')
        picture = draw_sample(image, data_sample, classes, self.style)
        if out_file is None:
            self.add_image(name, picture, step)
        else:
            write_picture(out_file, picture)
        return picture


def draw_sample(image: np.ndarray, data_sample: DataSample, classes: Sequence[str] | None = None,
                style: Style = STYLES['paper']) -> np.ndarray:
    """Draw score map, thresholded map and boxes on an image, with a caption below it.

    The caption gives the predicted class, its score and, if known, the true class and the best
    IoU with a ground-truth box. A thin line surrounds what the box rule takes for foreground.

    Args:
        image (np.ndarray): The whole image that the boxes refer to, RGB or grey, uint8; it may be
            reduced in size.
        data_sample (DataSample): With ``pred_box``; ``pred_label`` and ``pred_score``,
            ``score_map``, ``gt_label`` and ``gt_bboxes`` may be missing. If ``box_frame`` is
            'original', boxes are in pixels of an image of ``ori_shape``, otherwise of ``image``.
            ``pred_box`` may be several boxes, and ``foreground`` a mask of the whole image to
            outline instead of what the box rule takes.

    Returns:
        np.ndarray: RGB, uint8. The image is at the top, centred if the caption is wider, enlarged
        by an integer factor if it is small, and reduced to four megapixels if it is large.
    """
    if 'pred_box' not in data_sample:
        raise UserError('the prediction holds no pred_box; draw the predictions of a model '
                        'with a localizing head, such as CAMHead or DualCAMHead.')
    sample = data_sample.cpu()
    frame = sample.ori_shape if sample.get('box_frame') == 'original' else image.shape[:2]
    height, width = _drawn_size(frame)
    panel = draw_panel(image, (height, width), style, sample.get('score_map'),
                       sample.get('gt_bboxes', ()), sample.pred_box, frame, foreground_of(sample))
    if style.beside:  # a wide image above its overlay
        panel = np.concatenate([draw_panel(image, (height, width), style), panel],
                               axis=int(width <= 2 * height))

    font_size = max(13, round((height * width)**0.5 / 28))
    height, width = panel.shape[0], max(panel.shape[1], MIN_CAPTION * font_size)
    lines = [draw_text(text, font_size, width - font_size, frame=color)
             for text, color in _caption(sample, classes, style)]
    if 'score_map' in sample:
        lines.append(draw_color_bar(color_table(style), font_size))
    return np.concatenate([centered(panel, height, width), flow(lines, width, font_size)])


def reduce_to_draw(image: np.ndarray) -> np.ndarray:
    """An image, RGB, uint8, as it is drawn on: itself, a large one in four megapixels."""
    if math.prod(image.shape[:2]) <= MAX_DRAWN:
        return image
    return cv2.resize(image, _drawn_size(image.shape[:2])[::-1], interpolation=cv2.INTER_AREA)


def _drawn_size(frame):
    """Height and width of the panel that shows an image of such a height and width."""
    factor = min(math.ceil(MIN_SIDE / max(frame)), math.sqrt(MAX_DRAWN / math.prod(frame)))
    return tuple(max(1, round(factor * side)) for side in frame)


def foreground_of(sample):
    """The mask whose region the box encloses, or None if the localizer has not recorded it."""
    if 'foreground' in sample:
        return sample.foreground
    if 'score_map' not in sample or sample.get('box_rule') is None:
        return None
    rule = get_box_rule(sample.box_rule)
    ori_shape = sample.ori_shape if sample.get('box_frame') == 'original' else None
    resized, = resize_maps(np.asarray(sample.score_map)[None], rule, sample.img_shape, ori_shape)
    return rule.mask(resized, sample.theta)


def _caption(sample, classes, style):
    if 'pred_label' in sample:
        label = int(sample.pred_label)
        yield f'prediction: {class_name(label, classes)}', style.prediction
        yield f'score {sample.pred_score[label]:.2f}', None  # apart, for names are cut if long
    else:
        yield 'prediction', style.prediction
    if 'gt_label' in sample:
        yield f'truth: {class_name(int(sample.gt_label), classes)}', style.truth
    if len(sample.get('gt_bboxes', ())):
        yield f'IoU {best_iou(sample):.2f}', None


def class_name(label: int, classes: Sequence[str] | None) -> str:
    """Name of a class, or its number if it has no name."""
    # a head may have more classes than the data set has names
    return classes[label] if label < len(classes or ()) else f'class {label}'


@HOOKS.register_module()
class LocalizationVisualizationHook(Hook):
    """Draws predictions with :func:`draw_sample`, on the pictures of :class:`PictureSource`.

    Args:
        out_dir (str, optional): Folder for one PNG per image, named by its index in the data set
            and its file, so that names are unique; every rank writes its own images. Defaults to
            None: the visualizer's backends, to which only the first rank writes.
        interval (int): Draw every n-th image of the data set.
        val (bool): Also draw in validation; names in ``out_dir`` then end with the iteration.
    """

    def __init__(self, out_dir: str | None = None, interval: int = 1, val: bool = False):
        self.out_dir = out_dir
        self.interval = interval
        self.val = val

    def before_val(self, runner) -> None:
        if self.val:
            self._prepare(runner, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        self._prepare(runner, runner.test_dataloader.dataset)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.val:
            self._draw(data_batch['inputs'], outputs, runner.iter, f'_{runner.iter}')

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._draw(data_batch['inputs'], outputs, 0, '')

    def _prepare(self, runner, dataset) -> None:
        self._visualizer = runner.visualizer
        if not isinstance(self._visualizer, LocalizationVisualizer):
            if self.out_dir is None:
                raise UserError(f'{type(self._visualizer).__name__} cannot draw localizations; set'
                                " visualizer=dict(type='LocalizationVisualizer', "
                                'vis_backends=...) in the config, or give the hook an out_dir.')
            self._visualizer = LocalizationVisualizer()
        # only on the first rank does the visualizer have the names
        self._classes = metainfo_of(dataset).get('classes')
        self._picture = PictureSource(dataset)

    def _draw(self, inputs, samples: Sequence[DataSample], step: int, suffix: str) -> None:
        for i, sample in enumerate(samples):
            if sample.sample_idx % self.interval:
                continue
            name = sample_name(sample)
            self._visualizer.add_datasample(
                name, self._picture(inputs, i, sample), sample, self._classes, step=step,
                out_file=self.out_dir and join_path(self.out_dir, f'{name}{suffix}.png'))
