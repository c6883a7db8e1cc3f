"""The memory format of feature maps.

With AVX-512, a training step of plain VGG16 takes 0.91 times as long in channels-last order. With
AVX2 it takes 1.21 times as long, because gradients of the first, largest maps are slow, but its
forward pass takes 0.9 times as long. Elsewhere nothing was measured, so the format stays. (AMD
EPYC, Zen 4, torch 2.14.1, batch 4, 224 px, one thread; AVX2 is ``ATEN_CPU_CAPABILITY=avx2`` with
``ONEDNN_MAX_CPU_ISA=AVX2``.) The rule times nothing, so that all runs on a machine compute the
same bits.
"""
import torch
from mmengine.device import get_device
from torch import Tensor, nn

CPU_CAPABILITY = torch.backends.cpu.get_cpu_capability()
ONEDNN = torch.backends.mkldnn.is_available()


def choose_memory_format(device: str, needs_grad: bool) -> str:
    """The faster memory format: 'channels_last' or 'as_is'."""
    if device != 'cpu' or not ONEDNN:
        return 'as_is'
    fast = CPU_CAPABILITY == 'AVX512' or CPU_CAPABILITY == 'AVX2' and not needs_grad
    return 'channels_last' if fast else 'as_is'


def training_format(memory_format: str) -> torch.memory_format:
    """The order of the maps in a training step on the device mmengine finds."""
    if memory_format == 'auto':
        memory_format = choose_memory_format(get_device(), needs_grad=True)
    return torch.channels_last if memory_format == 'channels_last' else torch.contiguous_format


def order_weights(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Convert the weights of convolutions to a memory format.

    In another than that of the maps, each backward pass copies their gradients, 4 % of a step in a
    profile. DDP lays out its buckets like the weights, so convert them before it wraps the model.
    """
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


def order_images(images: Tensor, memory_format: str) -> Tensor:
    """Convert images to 'channels_last' or, with 'auto', to the faster format; 'as_is' does not.

    The feature maps of convolutions then keep it.
    """
    if memory_format == 'auto':
        memory_format = choose_memory_format(images.device.type, torch.is_grad_enabled())
    if memory_format == 'as_is':
        return images
    return images.contiguous(memory_format=torch.channels_last)
