from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization.class_maps import ClassMaps
from cicam_mm.utils.errors import UserError


@MODELS.register_module()
class TwoViewClassifier(ImageClassifier):
    """Classifier tested on two views of each image, as in CI-CAM's release.

    The first view, a centre crop, gives the scores, which are the prediction and rank the
    classes. The second view, the squashed whole image, gives the maps, which are combined by that
    ranking; its own branch 1 selects the context. Training, prediction of single images and
    checkpoints are the same as for mmpretrain's :class:`ImageClassifier`.

    The test pipeline has to end with mmcv's ``TestTimeAug``, which makes the views in this order.
    """

    def test_step(self, data: dict) -> list[DataSample]:
        """Predictions for the samples of the second view.

        ``inputs`` and ``data_samples`` are lists with the batch of each view.
        """
        scores, localizing = self._both_views(data)
        return self.predict(**localizing, ranking_scores=scores)

    val_step = test_step

    def localize(self, data: dict) -> tuple[list[DataSample], Tensor, ClassMaps]:
        """The samples of the second view, scores of the first, and maps of the second."""
        scores, localizing = self._both_views(data)
        _, class_maps = self.head.localize(self.extract_feat(localizing['inputs']))
        return localizing['data_samples'], scores, class_maps

    def _both_views(self, data):
        """Scores of the first view, and the preprocessed second one."""
        if isinstance(data['data_samples'][0], DataSample) or len(data['data_samples']) != 2:
            raise UserError(
                'TwoViewClassifier is tested on two views of each image; end the test pipeline '
                "with a dict(type='TestTimeAug', ...) that makes two, or use ImageClassifier.")
        ranking, localizing = (
            self.data_preprocessor(dict(inputs=inputs, data_samples=samples))
            for inputs, samples in zip(data['inputs'], data['data_samples'], strict=True))
        return self(ranking['inputs']), localizing
