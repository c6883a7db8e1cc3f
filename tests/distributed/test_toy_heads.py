"""Heads of a stranger, 30 lines at most, with all that comes for their one method."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from rank import small_runner
from torch import nn

from cicam_lite import BOX_RULES
from cicam_mm.localization import MAP_RULES, DenseClassMaps, build_localizer
from cicam_mm.models import WSOLHead

KINDS = ['ToyDenseHead', 'ToyTwoBranchHead']


@MODELS.register_module()
class ToyDenseHead(WSOLHead):
    """Maps from a 1x1 convolution; their means are the scores."""

    def __init__(self, num_classes, in_channels, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.to_maps = nn.Conv2d(in_channels, num_classes, 1)

    def localize(self, feats):
        maps = self.to_maps(feats[-1])
        return maps.mean(dim=(2, 3)), DenseClassMaps(maps)


@MODELS.register_module()
class ToyTwoBranchHead(WSOLHead):
    """Two such branches with a loss each; the larger value of their maps localizes."""

    def __init__(self, num_classes, in_channels, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.branches = nn.ModuleList(nn.Conv2d(in_channels, num_classes, 1) for _ in range(2))

    def maps(self, feats):
        return [branch(feats[-1]) for branch in self.branches]

    def localize(self, feats):
        first, second = self.maps(feats)
        return first.mean(dim=(2, 3)), DenseClassMaps(torch.maximum(first, second))

    def loss(self, feats, data_samples):
        labels = torch.cat([sample.gt_label for sample in data_samples])
        return {f'loss_{i}': F.cross_entropy(maps.mean(dim=(2, 3)), labels)
                for i, maps in enumerate(self.maps(feats))}


def build(kind, **localizer):
    return MODELS.build(dict(type=kind, num_classes=6, in_channels=4, localizer=localizer))


def labelled(labels):
    return [DataSample(metainfo=dict(img_shape=(40, 40), ori_shape=(60, 80))).set_gt_label(label)
            for label in labels]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('rule, gamma', [*zip(MAP_RULES.module_dict, [
    [1, 0, 0, 0, 0, 0],
    [1, .6, .2, -.2, -.6, -1],
    [0, -.04, -.16, -.36, -.64, -1],
    [1, .25, 0, 0, -.25, -1],
    [1, 0, 0, 0, -.5, -.5],
    [1, 0, 0, 0, 0, -1],
    [1 / 6] * 6,
], strict=True)])
def test_every_map_rule(kind, rule, gamma):
    head, feats = build(kind, map_rule=rule, num_lowest=2), (torch.randn(3, 4, 5, 5), )
    scores, class_maps = head.localize(feats)
    for i, sample in enumerate(head.predict(feats, labelled([0, 1, 2]))):
        ranking = scores[i].argsort(descending=True)
        expected = sum(g * class_maps.maps[i, k] for g, k in zip(gamma, ranking, strict=True))
        torch.testing.assert_close(sample.score_map, (expected - expected.min()).detach())


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('box_rule', BOX_RULES)
def test_every_box_rule_and_the_sweep(kind, box_rule):
    head, feats = build(kind), (torch.randn(2, 4, 5, 5), )

    def predict(**options):
        head.localizer = build_localizer(options)
        return head.predict(feats, labelled([0, 1]))

    rules, thetas = ['top1', 'linear'], [.1, .3]
    swept = predict(type='SweepingLocalizer', map_rules=rules, thetas=thetas,
                    localizer=dict(box_rule=box_rule, map_rule='top1'))
    for r, rule in enumerate(rules):
        for t, theta in enumerate(thetas):
            single = predict(box_rule=box_rule, map_rule=rule, theta=theta)
            assert all(a.swept_boxes[r, t].equal(b.label_box)
                       for a, b in zip(swept, single, strict=True))


def train_and_test(work_dir, kind):
    """Train on the demo set and test; the losses, the weights and the metrics."""
    runner = small_runner(work_dir, **{
        'model.head': dict(_delete_=True, type=kind, num_classes=6, in_channels=16),
        'custom_hooks': [], 'optim_wrapper.optimizer': dict(type='SGD', lr=.05),
        'test_dataloader.num_workers': 0, 'test_dataloader.persistent_workers': False,
        'test_dataloader.dataset.num_images': 10})
    losses = []

    class Record(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch, outputs):
            losses.append(outputs['loss'].item())

    runner.register_hook(Record())
    runner.train()
    state = {k: v.clone() for k, v in runner.model.module.state_dict().items()}
    return losses, state, runner.test()


@pytest.mark.parametrize('kind', KINDS)
def test_two_ranks_are_one(run_ranks, tmp_path, kind):
    (losses, state, metrics), = run_ranks(train_and_test, 1, tmp_path / 'one', kind)
    ranks = run_ranks(train_and_test, 2, tmp_path / 'two', kind)
    assert sum(losses[-3:]) < sum(losses[:3])
    of_both = [sum(pair) / 2 for pair in zip(ranks[0][0], ranks[1][0], strict=True)]
    torch.testing.assert_close(of_both, losses, rtol=1e-4, atol=0)
    for name, value in state.items():
        assert ranks[0][1][name].equal(ranks[1][1][name])
        torch.testing.assert_close(ranks[0][1][name], value, rtol=1e-3, atol=1e-5)
    assert ranks[0][2] == metrics and 0 < metrics['wsol/top5_cls']
