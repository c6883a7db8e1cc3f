import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the model's weights, and so its feature maps, in channels-last order.

    Convolutions are faster that way on tensor cores and with oneDNN on CPUs, where
    :class:`NonLocalVGG` takes this order by itself. Results are the same up to rounding;
    checkpoints are not affected.
    """

    def before_run(self, runner) -> None:
        runner.model.to(memory_format=torch.channels_last)
