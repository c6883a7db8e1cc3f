from mmpretrain.models.backbones import InceptionV3
from mmpretrain.registry import MODELS
from torch import Tensor

from cicam_mm.checkpoints.release import LEFT_OUT

# In the order of the network. The layers after Mixed_6e only serve classification.
LAYERS = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'maxpool1', 'Conv2d_3b_1x1',
          'Conv2d_4a_3x3', 'maxpool2', 'Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_6a',
          'Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e')


@MODELS.register_module()
class InceptionV3Features(InceptionV3):
    """MMPretrain's InceptionV3 up to Mixed_6e: the backbone of CI-CAM's second released model.

    Features have 768 channels; inputs of 299 to 314 px give 17 x 17. Weights of torchvision and
    MMPretrain load by name; those of layers after Mixed_6e are ignored.

    As in the release, maps come out slightly too large: the stem has no padding, so cell i is
    centred at pixel 21 + 16 i, whereas resizing 17 x 17 to 299 px puts it at 8 + 17.6 i.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for name in LEFT_OUT:
            delattr(self, name)
        self._register_load_state_dict_pre_hook(self._leave_out)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Features of Mixed_6e, (B, 768, h, w)."""
        for name in LAYERS:
            x = getattr(self, name)(x)
        return (x, )

    def _leave_out(self, state_dict, prefix, *args):
        for key in [key for key in state_dict
                    if key.startswith(tuple(f'{prefix}{name}.' for name in LEFT_OUT))]:
            del state_dict[key]
