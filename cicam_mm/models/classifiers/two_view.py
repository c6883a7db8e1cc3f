from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from cicam_mm.errors import UserError


@MODELS.register_module()
class TwoViewClassifier(ImageClassifier):
    """Classifier tested on two views of each image, as CI-CAM was released.

    The scores of the first view (a centre crop) are the prediction and rank the classes; the
    score map is that of the second view (the whole image, squashed), combined in this ranking.
    The context of the second view is chosen by its own branch 1. Training, single images and
    checkpoints are those of mmpretrain's :class:`ImageClassifier`.

    The test pipeline ends with mmcv's ``TestTimeAug`` that makes the two views, in this order.
    """

    def test_step(self, data: dict) -> list[DataSample]:
        """Predict a batch of two views.

        Args:
            data (dict): ``inputs`` and ``data_samples``, each a list with one entry per view
                that holds the batch.

        Returns:
            list[DataSample]: Predictions for the samples of the second view.

        Raises:
            ValueError: If there are not two views.
        """
        if isinstance(data['data_samples'][0], DataSample) or len(data['data_samples']) != 2:
            raise UserError(
                'TwoViewClassifier is tested on two views of each image; end the test pipeline '
                "with dict(type='TestTimeAug', ...) that makes two, or take ImageClassifier.")
        ranking, localizing = (
            self.data_preprocessor(dict(inputs=inputs, data_samples=samples))
            for inputs, samples in zip(data['inputs'], data['data_samples'], strict=True))
        scores = self(ranking['inputs'])
        return self.predict(**localizing, ranking_scores=scores)

    val_step = test_step
