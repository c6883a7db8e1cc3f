"""Description of the machine, on which measurements depend."""

import os
import platform
import re
from pathlib import Path

import torch

from cicam_mm.models.memory_format import choose_memory_format


def describe(device: str) -> dict[str, str]:
    """Describe the machine, to be stored with its figures."""
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA', 'none')
    found = {
        'processor': _processor(),
        'cores': str(os.cpu_count()),
        'instruction set of torch': torch.backends.cpu.get_cpu_capability(),
        'limit of oneDNN': limit,
        'threads': str(torch.get_num_threads()),
        'clock': 'wall' if torch.get_num_threads() > 1 else 'processor time',
        'torch': torch.__version__,
        'order in training': choose_memory_format(device, needs_grad=True),
        'order in prediction': choose_memory_format(device, needs_grad=False),
    }
    if device == 'cuda':
        found |= {'GPU': torch.cuda.get_device_name(), 'CUDA': torch.version.cuda,
                  'cuDNN': str(torch.backends.cudnn.version()), 'TF32': 'off'}
    return found


def _processor():
    path = Path('/proc/cpuinfo')
    found = path.is_file() and re.search(r'model name\s*:\s*(.+)', path.read_text())
    return found[1] if found else platform.processor()
