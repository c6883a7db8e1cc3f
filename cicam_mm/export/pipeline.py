"""Description of a test pipeline that only resizes the image."""
from mmengine.config import Config

from cicam_mm.errors import UserError

LOADING = ('LoadImageFromFile', 'LoadWSOLImage', 'LoadAnnotations', 'LoadWSOLMask', 'PackInputs')


def describe_preparation(cfg: Config) -> dict:
    """Size and interpolation of the resizing in a test pipeline.

    Args:
        cfg (Config): A complete config.

    Returns:
        dict: ``size`` (H, W) and ``interpolation``, with OpenCV's name.

    Raises:
        UserError: If the pipeline does anything else to the image.
    """
    steps = [step for step in cfg.test_dataloader.dataset.pipeline
             if step['type'].split('.')[-1] not in LOADING]
    if len(steps) != 1 or steps[0]['type'] != 'Resize' or steps[0].get('keep_ratio'):
        raise UserError(
            'the test pipeline of an exported model must squash the whole image to one size, but '
            f'that of this config consists of {", ".join(step["type"] for step in steps)}; use a '
            "config with only a dict(type='Resize', scale=(width, height)).")
    step, = steps
    if step.get('backend', 'cv2') != 'cv2':
        raise UserError(f'the test pipeline resizes with {step["backend"]}, which exported models '
                        "do not support; set backend='cv2'.")
    scale = step.get('scale')
    width, height = (scale, scale) if isinstance(scale, int) else scale
    interpolation = dict(bilinear='linear', bicubic='cubic').get(
        step.get('interpolation', 'bilinear'), step.get('interpolation'))
    return dict(size=[height, width], interpolation=interpolation)
