from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from mmpretrain.registry import HOOKS, OPTIM_WRAPPERS
from torch import nn

from cicam_mm.utils.distributed import unwrapped


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Mixed precision with bfloat16, on any device.

    MMEngine's ``AmpOptimWrapper`` needs a GPU. The range of bfloat16 is that of float32, so losses
    are not scaled; weights and their updates stay float32. With AVX512-BF16 (AMD Zen 4) the layers
    of VGG16's last stage took half as long as in float32; other processors were not measured.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        in_bfloat16 = autocast(device_type=get_device(), dtype=torch.bfloat16)
        with super().optim_context(model), in_bfloat16:
            yield


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Converts the model's weights, and thereby its feature maps, to channels-last format.

    Convolutions are faster in this format on tensor cores, and with oneDNN on CPUs, where
    :class:`NonLocalVGG` chooses it by itself. Results are the same up to rounding; checkpoints are
    not affected.
    """

    def before_run(self, runner) -> None:
        runner.model.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles modules of the model with ``torch.compile``, in place.

    Unlike with MMEngine's option ``compile``, parameters keep their names, so ``paramwise_cfg``
    and checkpoints work. Heads cannot be compiled this way, because they are not called as
    modules.

    Args:
        **options: Arguments of ``torch.compile``, such as ``mode`` or ``backend``.
    """

    def __init__(self, modules: Sequence[str] = ('backbone', ), **options):
        self.modules = tuple(modules)
        self.options = options

    def before_run(self, runner) -> None:
        model = unwrapped(runner.model)
        for name in self.modules:
            model.get_submodule(name).compile(**self.options)
