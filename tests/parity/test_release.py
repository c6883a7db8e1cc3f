"""Every number that the released model computes on VGG16."""
from types import SimpleNamespace

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS, MODELS
from parity_parts import CONFIGS, convert, localize, localized, samples

from cicam_mm.engine.context_pool_hook import ContextPoolHook
from cicam_mm.localization import LinearClassMaps, activation_maps

CONFIG = CONFIGS / 'cicam_vgg16_cub_release.py'
TOLERANCES = {
    '.*': 1e-4,
    r'train\d+_loss': 1e-5,
    # From float64 the reference is 1.2e-3 away and this project 1.1e-3: on the way back through
    # the network, pixels close to a kink or tied in a max pool fall to one side or the other.
    r'train\d+_grad_conv1': 5e-3,
}
INPUTS = ('seed', 'num_classes', 'batch', '(gt|train.*)_labels')


@pytest.fixture(scope='module')
def checkpoint(release, run_tool, tmp_path_factory):
    return convert(release, 'write_release', run_tool, tmp_path_factory.mktemp('release'))


@pytest.fixture(scope='module')
def model(checkpoint, release, device):
    cfg = Config.fromfile(CONFIG).model
    cfg.head.num_classes = int(release['num_classes'])
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model.to(device)


@torch.no_grad()
def evaluated(model, release, device):
    """Scores and maps of both branches, combined maps and boxes."""
    images = release.make('release_images', int(release['batch'])).to(device)
    features, = model.eval().extract_feat(images)
    initial, enhanced = model.head.branches(features)
    final = model.head.classify(enhanced)
    weight = model.head.fc.weight
    weights = weight.expand(len(final), -1, -1)
    values, boxes = dict(
        eval_logits_initial=initial, eval_logits_final=final,
        eval_cam_initial=activation_maps(features, weights),
        eval_cam_final=activation_maps(enhanced, weights),
        eval_features=features[:, ::16]), {}
    classes = dict(top1cam=final.topk(5).indices,
                   gtcam=torch.from_numpy(release['gt_labels'])[:, None].to(device))
    for found in localized(release.arrays):
        (values if found['kind'] == 'map' else boxes)[found[0]] = localize(
            found, LinearClassMaps(enhanced, weight), final, samples(release['gt_labels']),
            classes.get(found['rule']))
    return values, boxes


def trained(model, release, device):
    """Training steps from an empty pool, without an optimizer; the last with its gradients."""
    model.train()
    head, hook = model.head, ContextPoolHook()
    head.pool.pool.zero_()
    runner = SimpleNamespace(
        model=model, iter=0, optim_wrapper=SimpleNamespace(should_update=lambda: True))
    hook.before_train(runner)
    values = {}
    for step in range(3):
        labels = release[f'train{step}_labels']
        images = release.constant('release_images')(release.seed + 100 + step, len(labels))
        with torch.set_grad_enabled(step == 2):
            feats = model.extract_feat(images.to(device))
            losses = head.loss(feats, [sample.to(device) for sample in samples(labels)])
            loss = sum(losses.values())
        with torch.no_grad():
            initial, enhanced = head.branches(feats[0])
            values[f'train{step}_logits_initial'] = initial
            values[f'train{step}_logits_final'] = head.classify(enhanced)
        hook.after_train_iter(runner, step)
        values[f'train{step}_loss'] = loss
        values[f'train{step}_pool'] = head.pool.pool.clone()
    loss.backward()
    return values | dict(
        train2_grad_projection=head.pool.projection.weight.grad,
        train2_grad_classifier=head.fc.weight.grad,
        train2_grad_conv1=model.backbone.features[0].conv.weight.grad)


def test_release(model, release, device):
    values, boxes = evaluated(model, release, device)
    values |= trained(model, release, device)
    release.compare('', values, TOLERANCES, [*INPUTS, *boxes])
    for name, found in boxes.items():
        check_boxes(found, release[name], name)


def check_boxes(boxes, expected, name):
    """Boxes agree, but for a pixel now and then where a map value ties with the cut."""
    difference = np.abs(boxes.numpy() - expected)
    assert difference.max() <= 1 and np.mean(difference > 0) <= .05, name


@DATASETS.register_module()
class ReferenceImages(BaseDataset):
    """Images already normalized, in a file."""

    def load_data_list(self):
        return [dict(img=image, img_shape=(224, 224), ori_shape=(224, 224))
                for image in np.load(self.ann_file)]


TEST_CONFIG = """
_base_ = '{base}'
model = dict(head=dict(num_classes={num_classes}))
data_preprocessor = dict(_delete_=True)
test_dataloader = dict(
    _delete_=True,
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ReferenceImages',
        ann_file='{images}',
        pipeline=[dict(type='TestTimeAug', transforms=[[dict(type='PackInputs')] * 2])]))
test_evaluator = dict(_delete_=True, type='DumpResults', out_file_path='predictions.pkl')
"""


def test_command_line_gives_the_boxes(run_tool, checkpoint, release, tmp_path, monkeypatch):
    """Of two of the images."""
    images, config = tmp_path / 'images.npy', tmp_path / 'config.py'
    first = release.make('release_images', int(release['batch']))[:2]
    np.save(images, first.permute(0, 2, 3, 1).numpy())
    config.write_text(TEST_CONFIG.format(
        base=CONFIG, images=images, num_classes=int(release['num_classes'])))
    monkeypatch.chdir(tmp_path)
    run_tool('test.py', config, checkpoint)

    boxes = torch.stack([sample['pred_box'] for sample in mmengine.load('predictions.pkl')])
    name, = (name for name in release.arrays if name.startswith('box_quadratic_')
             and name.endswith('_0.0'))  # what the config localizes by
    check_boxes(boxes, release[name][:2], name)
