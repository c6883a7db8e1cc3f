"""The interface between methods and localizers: activation maps of all classes, on demand."""
import torch
from torch import Tensor


class ClassMaps:
    """Activation maps M_1 ... M_n of all n classes for a batch of B images.

    A head provides the maps, and the localizer asks for those it needs. A head whose maps fit
    none of the classes below subclasses this one and writes :meth:`of_classes`.
    """

    def of_classes(self, classes: Tensor) -> Tensor:
        """The maps (B, k, h, w) of the given classes (B, k) of each image."""
        raise NotImplementedError

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The sum (B, 1, h, w) of the maps of all classes, with weights (B, n) (Eq. 3)."""
        classes = torch.arange(coefficients.shape[1], device=coefficients.device)
        maps = self.of_classes(classes.expand(len(coefficients), -1))
        return DenseClassMaps(maps).weighted_sum(coefficients)


class LinearClassMaps(ClassMaps):
    """Maps that are linear in one feature map: M_k = W_k X + b_k (Eq. 1), as in CAM.

    A weighted sum of such maps equals the map of the weighted sum of the rows of W. Combining
    rows instead of maps avoids a tensor of shape (B, n, h, w).

    Args:
        features (Tensor): X, shape (B, c, h, w).
        weight (Tensor): Classifier weight W, shape (n, c).
        bias (Tensor, optional): b, shape (n, ). CAM leaves it out.
    """

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor | None = None):
        self.features = features
        self.weight = weight
        self.bias = bias

    def of_classes(self, classes: Tensor) -> Tensor:
        maps = activation_maps(self.features, self.weight[classes])
        return maps if self.bias is None else maps + self.bias[classes][..., None, None]

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        coefficients = coefficients.to(self.weight)
        maps = activation_maps(self.features, (coefficients @ self.weight)[:, None])
        if self.bias is None:
            return maps
        return maps + (coefficients @ self.bias)[:, None, None, None]


class DenseClassMaps(ClassMaps):
    """Maps (B, n, h, w) that exist already, as of a head that ends in a 1x1 convolution."""

    def __init__(self, maps: Tensor):
        self.maps = maps

    def of_classes(self, classes: Tensor) -> Tensor:
        images = torch.arange(classes.shape[0], device=classes.device)
        return self.maps[images[:, None], classes]

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        return activation_maps(self.maps, coefficients.to(self.maps)[:, None])


class SharedMap(ClassMaps):
    """One map (B, 1, h, w) for all classes, as of methods that do not ask which class is there."""

    def __init__(self, maps: Tensor):
        self.maps = maps

    def of_classes(self, classes: Tensor) -> Tensor:
        return self.maps.expand(-1, classes.shape[1], -1, -1)

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """The map itself: a combination of equal maps is only that, times a number."""
        return self.maps


def activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps (B, k, h, w) for rows of the classifier weight (Eq. 1; no bias).

    The features X are (B, c, h, w), the weights (B, k, c): k rows for each image.
    """
    return torch.bmm(weight, features.flatten(2)).unflatten(2, features.shape[2:])
