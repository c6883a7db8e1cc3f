import numpy as np
import pytest
import torch
import torch.nn.functional as F
from head_parts import labelled
from mmpretrain.registry import MODELS

pytestmark = pytest.mark.usefixtures('on_device')


def build(**options):
    options = dict(num_classes=6, in_channels=4, pool=dict(size=(5, 5))) | options
    head = MODELS.build(dict(type='DualCAMHead', **options))
    if head.pool is not None:
        head.pool.has_updater = True
        head.pool.pool.normal_()
    return head


def test_is_the_paper_as_printed():
    """Eq. 7 before Eq. 8, for all images, touched rows, and one column; numpy, row by row."""
    head = build(pool=dict(size=(5, 5), update='before', counted='all', renormalized='touched',
                           projection='shared', update_rate=.3))
    features, labels = torch.randn(3, 4, 5, 5), torch.tensor([0, 3, 5])
    x, w, q = (t.detach().cpu().numpy().copy()
               for t in (features, head.fc.weight, head.pool.pool))
    column = head.pool.projection.weight[:, 0, 0, 0].detach().cpu().numpy()
    bias = head.pool.projection.bias.detach().cpu().numpy()

    def norm(rows):
        return (rows - rows.mean()) / np.sqrt(rows.var() + 1e-5)

    scores = head.fc(features.mean(dim=(2, 3)))
    pi = scores.argmax(dim=1).tolist()
    for k in set(pi):
        s = sum(np.tensordot(w[k], x[i], 1) for i in range(3) if pi[i] == k)
        q[k] = norm(q[k] + .3 * norm(s))
    enhanced = np.stack([x[i] + x[i] * (column[:, None, None] * q[pi[i]] + bias[:, None, None])
                         for i in range(3)])
    final = head.fc(torch.from_numpy(enhanced).to(features).mean(dim=(2, 3)))
    losses = head.loss((features, ), labelled(*labels))
    torch.testing.assert_close(losses['loss_initial'], F.cross_entropy(scores, labels))
    torch.testing.assert_close(losses['loss_enhanced'], F.cross_entropy(final, labels))
    torch.testing.assert_close(head.pool.pool, torch.from_numpy(q).to(features))


def test_localizes_on_the_enhanced_features():
    head, features = build(localizer=dict(map_rule='top1')), torch.randn(2, 4, 5, 5)
    samples = head.predict((features, ), labelled(1, 2))
    enhanced = head.branches(features)[1]
    for sample, x in zip(samples, enhanced, strict=True):
        cam = torch.einsum('c,chw->hw', head.fc.weight[sample.pred_label.item()], x)
        torch.testing.assert_close(sample.score_map, (cam - cam.min()).detach())


def test_feeds_branch_1s_map_of_its_own_prediction():
    head, features = build(), torch.randn(3, 4, 5, 5, requires_grad=True)
    predicted = head.branches(features)[0].argmax(1)
    wrong = (predicted[2] + 1) % 6
    head.loss((features, ), labelled(predicted[0], predicted[1], wrong))
    classes, maps = head.pool.take_pending()
    assert classes.tolist() == [*predicted[:2].tolist(), 6]  # 6 marks what does not count
    expected = torch.einsum('bc,bchw->bhw', head.fc.weight[predicted], features)
    torch.testing.assert_close(maps, expected.detach())
    assert not maps.requires_grad


def test_testing_feeds_nothing():
    head = build().eval()
    head.predict((torch.randn(1, 4, 5, 5), ), labelled(0))
    assert len(head.pool.take_pending()[0]) == 0


def test_without_pool_both_branches_are_one():
    head, features = build(pool=None), torch.randn(3, 4, 5, 5)
    losses = head.loss((features, ), labelled(0, 1, 2))
    assert losses['loss_initial'] == losses['loss_enhanced']
    assert {name.split('.')[0] for name in head.state_dict()} == {'fc'}


def test_pool_stays_float32_in_mixed_precision():
    head, features = build(), torch.randn(2, 4, 5, 5)
    with torch.autocast('cpu', torch.bfloat16):
        enhanced = head.branches(features.bfloat16())[1]
        head.loss((features.bfloat16(), ), labelled(0, 1))
    assert enhanced.dtype == torch.bfloat16
    maps = head.pool.take_pending()[1]
    assert maps.dtype == head.pool.pool.dtype == torch.float32


def test_accuracy_is_branch_2s():
    head, features = build(cal_acc=True), torch.randn(2, 4, 5, 5)
    final = head((features, )).argmax(1)
    losses = head.loss((features, ), labelled(*final))
    accuracy, = losses['accuracy_top-1']
    assert accuracy == 100
