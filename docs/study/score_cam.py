"""Score-CAM on 650 images of ILSVRC: ``python docs/study/score_cam.py val|test OUT.json``.

OpenVINO (``pip install openvino``) classifies the masked images, 441,000 in all, on one thread.
``tools/test.py --cam scorecam`` does the same with torch.
"""
import argparse
from functools import cache

import openvino
import torch
import torch.nn.functional as F
from mmengine.config import Config

from cicam_mm.apis.configs import localize_config
from cicam_mm.engine.runner import build_runner
from cicam_mm.evaluation.protocol import describe_protocol, write_metrics
from cicam_mm.models import gradient_maps
from cicam_mm.models.efficientnet_lite import ADDRESS

BATCH = 16


@cache
def compiled(classifier):
    """The classifier in OpenVINO, on one thread."""
    example = torch.zeros(BATCH, 3, 224, 224)
    return openvino.compile_model(
        openvino.convert_model(classifier, example_input=example, input=[*example.shape]), 'CPU',
        dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=1, NUM_STREAMS=1))


def quick_weights(images, activations, classifier,
                  score_cam_weights=gradient_maps.score_cam_weights):
    """The weights of the channels; batches are filled up."""
    def classify(images):
        filled = F.pad(images, (0, 0) * 3 + (0, BATCH - len(images)))
        return torch.tensor(compiled(classifier)(filled.numpy())[0][:len(images)])

    return score_cam_weights(images, activations, classify, BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('split', choices=['val', 'test'])
    parser.add_argument('out')
    parser.add_argument('--first', type=int, help='the first so many images alone')
    args = parser.parse_args()
    cfg = Config.fromfile('configs/imagenet/efficientnet-lite0.py')
    localize_config(cfg, 'scorecam')
    cfg.test_dataloader = cfg[f'{args.split}_dataloader']
    cfg.test_dataloader.dataset.indices = cfg.test_dataloader.dataset.indices[:args.first]
    cfg.load_from, cfg.work_dir = ADDRESS, f'work_dirs/score_cam/{args.split}'
    runner = build_runner(cfg)
    gradient_maps.score_cam_weights = quick_weights
    metrics = runner.test()
    write_metrics(args.out, metrics, runner.test_evaluator,
                  describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset)))


if __name__ == '__main__':
    main()
