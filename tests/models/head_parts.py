"""What tests of heads share: samples with labels, and a small head of each kind with features."""
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

LAST_STAGE = dict(type='NonLocalVGG', depth=11, strides=(2, 2, 1), first_stage=3, base_channels=1,
                  non_local_stages=(), norm_cfg=dict(type='BN'))
# Options of each head, and the shapes of its feature maps without the batch.
HEADS = dict(
    CAMHead=(dict(in_channels=2), [(2, 5, 5)]),
    RethinkingCAMHead=(dict(in_channels=2), [(2, 5, 5)]),
    DualCAMHead=(dict(in_channels=2, pool=dict(size=(5, 5))), [(2, 5, 5)]),
    ACoLHead=(dict(in_channels=2, hidden_channels=4), [(2, 5, 5)]),
    SPGHead=(dict(in_channels=(2, 4), hidden_channels=4, mask_size=40), [(2, 10, 10), (4, 5, 5)]),
    DANetHead=(dict(hierarchy=dict(a=dict(x=[0, 1]), b=dict(y=[2])), in_channels=(2, 3, 3),
                    hidden_channels=(4, 4, 4), num_maps=2), [(2, 8, 8), (3, 4, 4), (3, 4, 4)]),
    BASHead=(dict(in_channels=2, stage_channels=4, hidden_channels=5, last_stage=LAST_STAGE),
             [(2, 8, 8)]),
    TSCAMHead=(dict(in_channels=4), [(4, 5, 5), (1, 5, 5)]),
    SCMHead=(dict(in_channels=4), [(4, 5, 5), (1, 5, 5)]))


def build_head(kind, **options):
    """A head of three classes with random weights."""
    head = MODELS.build(dict(type=kind, num_classes=3) | HEADS[kind][0] | options)
    if getattr(head, 'pool', None) is not None:
        head.pool.has_updater = True
        head.pool.pool.normal_()
    return head


def features_of(kind, batch=2):
    """Random features, as the backbone of the head gives them."""
    return tuple(torch.rand(batch, *shape) for shape in HEADS[kind][1])


def labelled(*labels, size=(8, 8), **meta):
    """A sample for each label; None leaves it without."""
    samples = [DataSample(metainfo=dict(img_shape=size, ori_shape=size) | meta) for _ in labels]
    for sample, label in zip(samples, labels, strict=True):
        if label is not None:
            sample.set_gt_label(label)
    return samples
