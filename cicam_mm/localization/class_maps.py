"""What a method hands over to be localized: the activation maps of all classes, on demand."""
from typing import Protocol

import torch
from torch import Tensor


class ClassMaps(Protocol):
    """Activation maps M_1 ... M_n of all n classes for a batch of B images.

    The seam between method and localization: a head says how its maps come about, the localizer
    which of them it needs. A head whose maps are of neither kind below brings an object of its
    own with these two methods.
    """

    def of_classes(self, classes: Tensor) -> Tensor:
        """The maps of chosen classes.

        Args:
            classes (Tensor): Class indices of each image, shape (B, k).

        Returns:
            Tensor: Shape (B, k, h, w).
        """
        ...

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The sum of all maps, each times its coefficient (Eq. 3).

        Args:
            coefficients (Tensor): One for each class of each image, shape (B, n).

        Returns:
            Tensor: Shape (B, 1, h, w).
        """
        ...


class LinearClassMaps:
    """Maps that are linear in one feature map: M_k = W_k X (Eq. 1), as in CAM.

    A sum of such maps is the map of a sum of weights, so weights are combined, not maps: nothing
    of shape (B, n, h, w) is ever made.

    Args:
        features (Tensor): X, shape (B, c, h, w).
        weight (Tensor): Classifier weight W, shape (n, c).
    """

    def __init__(self, features: Tensor, weight: Tensor):
        self.features = features
        self.weight = weight

    def of_classes(self, classes: Tensor) -> Tensor:
        """As of :class:`ClassMaps`."""
        return activation_maps(self.features, self.weight[classes])

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """As of :class:`ClassMaps`."""
        combined = coefficients.to(self.weight) @ self.weight
        return activation_maps(self.features, combined[:, None])


class DenseClassMaps:
    """Maps that are there already, as of a head that ends in a 1x1 convolution.

    Args:
        maps (Tensor): Shape (B, n, h, w).
    """

    def __init__(self, maps: Tensor):
        self.maps = maps

    def of_classes(self, classes: Tensor) -> Tensor:
        """As of :class:`ClassMaps`."""
        images = torch.arange(classes.shape[0], device=classes.device)
        return self.maps[images[:, None], classes]

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """As of :class:`ClassMaps`."""
        return activation_maps(self.maps, coefficients.to(self.maps)[:, None])


def activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps of chosen weight rows (Eq. 1; no bias).

    Args:
        features (Tensor): X, shape (B, c, h, w).
        weight (Tensor): Classifier rows per image, shape (B, k, c).

    Returns:
        Tensor: Maps, shape (B, k, h, w).
    """
    return torch.bmm(weight, features.flatten(2)).unflatten(2, features.shape[2:])
