"""Train a model: ``cicam_mm train CONFIG``."""
from _cli import ArgumentParser, check_checkpoint, load_config, run

parser = ArgumentParser('Train a model.', 'train configs/cicam_vgg16_cub.py')
parser.add_argument('config', help='path of the config')
parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                    help='continue from it; default: the latest one in the work directory')
parser.add_argument('--amp', action='store_true', help='train with mixed precision (GPU only)')
parser.add_argument('--no-validate', action='store_true', help='skip validation')
parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate by '
                    "the ratio of the actual to the config's base batch size")
parser.add_run()
parser.add_cfg_options()


def main(args) -> None:
    cfg = load_config(args)
    from cicam_mm.engine.runner import build_runner, lock_work_dir
    from cicam_mm.utils.distributed import launched_rank
    from cicam_mm.utils.errors import UserError

    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
        if cfg.load_from:
            check_checkpoint(cfg.load_from)
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise UserError(f'--auto-scale-lr needs `auto_scale_lr` in the config {args.config}')
        cfg.auto_scale_lr.enable = True
    with lock_work_dir(cfg.work_dir, launched_rank(cfg.launcher)):
        build_runner(cfg).train()


if __name__ == '__main__':
    run(main, parser)
