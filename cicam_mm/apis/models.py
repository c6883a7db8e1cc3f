from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader
from mmpretrain.apis import get_model

from cicam_mm.errors import UserError, printable
from cicam_mm.models.heads import WSOLHead
from cicam_mm.models.weights import load_all_weights


def load_model(config: str | Path | Config,
               checkpoint: str | Path,
               device: str | torch.device | None = None,
               **kwargs) -> BaseModel:
    """Like mmpretrain's ``get_model``, but the checkpoint has to fit the model.

    Args:
        config (str | Path | Config): Path of a config, or the config.
        checkpoint (str | Path): Path or address of the checkpoint.
        device (str | torch.device, optional): Where the model runs. Defaults to None, the CPU.
        **kwargs: Other arguments of ``get_model``.

    Returns:
        BaseModel: The model in evaluation mode, with the class names of the checkpoint.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        UserError: If it does not fit, or holds values that are not finite or invalid class names.
    """
    model = get_model(config, pretrained=False, **kwargs)
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
    load_all_weights(model, loaded, str(checkpoint))
    meta = loaded.get('meta')
    if isinstance(meta, dict) and isinstance(meta.get('dataset_meta'), dict):
        classes = meta['dataset_meta'].get('classes', ())
        if not isinstance(classes, (list, tuple)) or not all(
                isinstance(name, str) for name in classes):
            raise UserError(f'the classes in the checkpoint {checkpoint} are not a list of names; '
                            'remove them from its meta, or specify the classes yourself.')
        model._dataset_meta = dict(meta['dataset_meta'], classes=tuple(map(printable, classes)))
    return model if device is None else model.to(device)


def check_localizes(model: BaseModel) -> None:
    """Check that a model has a localizing head.

    Raises:
        UserError: If it has another head or none.
    """
    head = getattr(model, 'head', None)
    if not isinstance(head, WSOLHead):
        name = type(model if head is None else head).__name__
        raise UserError(f'{name} does not localize; take a model with a localizing head, such as '
                        'CAMHead or DualCAMHead.')
