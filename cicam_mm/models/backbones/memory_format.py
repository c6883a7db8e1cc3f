"""The order of feature maps in memory.

oneDNN's convolutions are not equally fast in both orders, and which is faster depends on the
instruction set and on whether there is a backward pass:

- with AVX-512, a training step of plain VGG16 in channels-last order took 0.91 of its time as is;
- with AVX2 it took 1.21 of it, since gradients of the first, largest maps are slow; the forward
  passes of its convolutions alone took about 0.9, so prediction is channels-last;
- elsewhere nothing was measured, so the order stays as it is.

Measured on an AMD EPYC (Zen 4), torch 2.14.1, batch 4, 224 px, one thread; AVX2 there is
``ATEN_CPU_CAPABILITY=avx2`` with ``ONEDNN_MAX_CPU_ISA=AVX2``. The rule asks torch for its
instruction set and times nothing, so that all runs on a machine compute the same bits.
"""
import torch
from torch import Tensor, nn

from cicam_mm.errors import UserError

CPU_CAPABILITY = torch.backends.cpu.get_cpu_capability()
ONEDNN = torch.backends.mkldnn.is_available()

MEMORY_FORMATS = ('auto', 'channels_last', 'as_is')


def check_memory_format(name: str) -> None:
    """Raise a ValueError that lists the known names, unless the name is one of them."""
    if name not in MEMORY_FORMATS:
        raise UserError(
            f'unknown memory_format={name!r}; known are {", ".join(MEMORY_FORMATS)}.')


def choose_memory_format(device: str, needs_grad: bool) -> str:
    """The faster order: 'channels_last' or 'as_is'.

    Args:
        device (str): Type of the device, such as 'cpu'.
        needs_grad (bool): Whether a backward pass will follow.
    """
    if device != 'cpu' or not ONEDNN:
        return 'as_is'
    fast = CPU_CAPABILITY == 'AVX512' or CPU_CAPABILITY == 'AVX2' and not needs_grad
    return 'channels_last' if fast else 'as_is'


def order_weights(module: nn.Module, memory_format: str) -> None:
    """Put the weights of convolutions in the order that a training step takes for its images.

    Else each backward pass copies their gradients, 4 % of a step in a profile. To be called on
    initialized weights, since random draws would follow the order in memory.

    Args:
        module (nn.Module): On the device where it will be trained.
        memory_format (str): As for :func:`order_images`.
    """
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = order_images(parameter.data, memory_format)


def order_images(images: Tensor, memory_format: str) -> Tensor:
    """The images in an order, which the feature maps of convolutions then keep.

    Args:
        images (Tensor): Shape (B, 3, H, W).
        memory_format (str): 'channels_last', 'as_is', or 'auto' for the faster order.
    """
    if memory_format == 'auto':
        memory_format = choose_memory_format(images.device.type, torch.is_grad_enabled())
    if memory_format == 'as_is':
        return images
    return images.contiguous(memory_format=torch.channels_last)
