from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Mixed precision with bfloat16, on any device.

    MMEngine's ``AmpOptimWrapper`` needs a GPU. The range of bfloat16 is that of float32, so losses
    are not scaled; weights and their updates stay float32. On a CPU without instructions for
    bfloat16 (AVX512-BF16, AMX) a step takes longer, not shorter.

    Args:
        **kwargs: Arguments of mmengine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute what is inside in bfloat16 where that is safe."""
        device = get_device()
        with super().optim_context(model), autocast(device_type=device, dtype=torch.bfloat16):
            yield
