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
    are not scaled; weights and their updates stay float32. With AVX512-BF16 (AMD Zen 4) the layers
    of VGG16's last stage took half as long as in float32; other processors were not measured.

    Args:
        **kwargs: Arguments of mmengine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute what is inside in bfloat16 where that is safe."""
        in_bfloat16 = autocast(device_type=get_device(), dtype=torch.bfloat16)
        with super().optim_context(model), in_bfloat16:
            yield
