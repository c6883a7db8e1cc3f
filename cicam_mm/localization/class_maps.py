"""The interface between methods and localizers: activation maps of all classes, on demand."""
from typing import Protocol

import torch
from torch import Tensor


class ClassMaps(Protocol):
    """Activation maps M_1 ... M_n of all n classes for a batch of B images.

    A head provides the maps, and the localizer asks for those it needs. A head whose maps fit
    none of the classes below provides an object of its own with these two methods.
    """

    def of_classes(self, classes: Tensor) -> Tensor:
        """The maps (B, k, h, w) of the given classes (B, k) of each image."""
        ...

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The sum (B, 1, h, w) of the maps of all classes, with weights (B, n) (Eq. 3)."""
        ...


class LinearClassMaps:
    """Maps that are linear in one feature map: M_k = W_k X (Eq. 1), as in CAM.

    A weighted sum of such maps equals the map of the weighted sum of the rows of W. Combining
    rows instead of maps avoids a tensor of shape (B, n, h, w).

    Args:
        features (Tensor): X, shape (B, c, h, w).
        weight (Tensor): Classifier weight W, shape (n, c).
    """

    def __init__(self, features: Tensor, weight: Tensor):
        self.features = features
        self.weight = weight

    def of_classes(self, classes: Tensor) -> Tensor:
        return activation_maps(self.features, self.weight[classes])

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        combined = coefficients.to(self.weight) @ self.weight
        return activation_maps(self.features, combined[:, None])


class DenseClassMaps:
    """Maps that have been computed already, as by a head that ends in a 1x1 convolution.

    Args:
        maps (Tensor): Shape (B, n, h, w).
    """

    def __init__(self, maps: Tensor):
        self.maps = maps

    def of_classes(self, classes: Tensor) -> Tensor:
        images = torch.arange(classes.shape[0], device=classes.device)
        return self.maps[images[:, None], classes]

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        return activation_maps(self.maps, coefficients.to(self.maps)[:, None])


class SharedMap:
    """One map for all classes, as of methods that do not ask which class is there.

    Args:
        maps (Tensor): Shape (B, 1, h, w).
    """

    def __init__(self, maps: Tensor):
        self.maps = maps

    def of_classes(self, classes: Tensor) -> Tensor:
        return self.maps.expand(-1, classes.shape[1], -1, -1)

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The map itself: a combination of equal maps is only that, times a number."""
        return self.maps


def activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps (B, k, h, w) for rows of the classifier weight (Eq. 1; no bias).

    Args:
        features (Tensor): X, shape (B, c, h, w).
        weight (Tensor): k rows for each image, shape (B, k, c).
    """
    return torch.bmm(weight, features.flatten(2)).unflatten(2, features.shape[2:])
