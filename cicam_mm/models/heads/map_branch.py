from torch import nn


def map_branch(in_channels: int, hidden_channels: int, num_maps: int) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU and a 1x1 convolution that gives activation maps.

    The mean of such a map is a class score, so the maps need no classifier's weights (ACoL's
    way, also DANet's).

    Args:
        in_channels (int): Channels of the feature map.
        hidden_channels (int): Channels of the 3x3 convolutions.
        num_maps (int): Maps that come out, of the size of the feature map.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden_channels, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, num_maps, 1))
