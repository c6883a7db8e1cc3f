"""Test a checkpoint: ``cicam_mm test CONFIG CHECKPOINT``."""
from pathlib import Path

from _cli import ArgumentParser, load_config, run

parser = ArgumentParser('Test a checkpoint.',
                        'test configs/cicam_tiny_shapes.py epoch_5.pth --out metrics.json')
parser.add_model()
parser.add_output('--out', metavar='FILE', help='write the metrics and their curves as JSON')
parser.add_output('--dump', is_folder=True, metavar='DIR',
                  help='save the predictions, for judge')
parser.add_output('--show-dir', is_folder=True, metavar='DIR', help='draw every prediction')
parser.add_run()


def main(args) -> None:
    cfg = load_config(args)
    from cicam_mm.engine.runner import build_runner
    from cicam_mm.evaluation.protocol import describe_protocol, write_metrics

    if not args.work_dir:
        cfg.work_dir = str(Path(cfg.work_dir) / 'test')  # leaves the config of a training alone
    cfg.load_from, cfg.resume = args.checkpoint, False  # a resumed training's config resumes
    hooks = dict(LocalizationVisualizationHook=args.show_dir, SavePredictionsHook=args.dump)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *(
        dict(type=hook, out_dir=str(folder)) for hook, folder in hooks.items() if folder)]
    runner = build_runner(cfg)
    metrics = runner.test()
    if args.out:
        protocol = describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset))
        write_metrics(args.out, metrics, runner.test_evaluator, protocol)


if __name__ == '__main__':
    run(main, parser)
