"""Digests of a config and of weights, which identify a run."""
import hashlib
import json

import torch
from mmengine.config import Config


def config_digest(cfg: Config) -> str:
    """SHA-256 of a config's content, whichever files it comes from."""
    content = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 of a model's parameters and buffers, whichever file they come from."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
