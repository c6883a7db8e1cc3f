import torch
import torch.nn.functional as F

from cicam_mm.models import ConvNeck


def test_convolution_and_relu_of_the_last_map():
    neck = ConvNeck(4, 6)
    neck.init_weights()
    feats = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 5, 5)
    out, = neck(feats)
    expected = F.conv2d(feats[1], neck.conv.conv.weight, neck.conv.conv.bias, padding=1).relu()
    assert out.shape == (2, 6, 5, 5)
    torch.testing.assert_close(out, expected)
