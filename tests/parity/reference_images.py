"""A data set of the reference's images, for a config that names this module."""
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from release_state_dict import release_images  # from the shared test data


@DATASETS.register_module()
class ReferenceImages(BaseDataset):
    """Images already normalized, made from a seed."""

    def __init__(self, seed, batch, pipeline):
        self.images = release_images(seed, batch).permute(0, 2, 3, 1).numpy()
        super().__init__(ann_file='', pipeline=pipeline)

    def load_data_list(self):
        return [dict(img=image, img_shape=(224, 224), ori_shape=(224, 224))
                for image in self.images]
