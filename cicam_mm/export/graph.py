"""The computation of an exported model."""
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn


class LocalizationGraph(nn.Module):
    """Computes class scores and score maps of images, preprocessing included.

    Args:
        model (ImageClassifier): A model with a :class:`WSOLHead`.
    """

    def __init__(self, model: ImageClassifier):
        super().__init__()
        self.model = model.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Localize the objects in a batch of images.

        Args:
            images (Tensor): BGR, uint8, resized to the network's input, shape (B, H, W, 3).

        Returns:
            tuple[Tensor, Tensor, Tensor]: Scores after the softmax (B, n), the best classes
            (B, k), and their score maps (B, k, h, w), or (B, 1, h, w) if they share one.
        """
        head, preprocessor = self.model.head, self.model.data_preprocessor
        images = images.permute(0, 3, 1, 2)
        if preprocessor.to_rgb:
            images = images.flip(1)
        images = images.float()
        if preprocessor._enable_normalize:
            images = (images - preprocessor.mean) / preprocessor.std
        scores, class_maps = head.localize(self.model.extract_feat(images))
        scores = scores.float()
        top_labels = scores.topk(head.num_boxes).indices
        maps = head.localizer.score_maps(class_maps, scores, top_labels).float()
        return scores.softmax(dim=1), top_labels, maps
