"""Convert a checkpoint of CI-CAM's release: ``cicam_mm convert_release NET.pth OUT.pth``."""
from pathlib import Path

from _cli import ArgumentParser, run

parser = ArgumentParser('Convert a checkpoint of the 2021 release of CI-CAM.',
                        'convert_release net_train.pth out.pth --pool mask_train.pth')
parser.add_argument('net', type=Path, help='the weights, net_train_*.pth')
parser.add_output('out', help='the checkpoint to write')
parser.add_argument('--pool', type=Path, help='the context pool, mask_train_*.pth')


def main(args) -> None:
    import torch

    import cicam_mm
    from cicam_mm.checkpoints import release
    from cicam_mm.utils.errors import printable
    from cicam_mm.utils.io import open_atomically

    pool = args.pool and release.read_release_pool(args.pool)
    state, unused = release.convert_release(release.read_release_net(args.net), pool)
    if pool is None:
        print('Without --pool, the context pool starts empty.')
    if unused:
        print(f'Left out, because the release does not use them: {printable(", ".join(unused))}')

    num_classes, height, width = state['head.pool.pool'].shape
    meta = dict(cicam_mm_version=cicam_mm.__version__, converted_from='CI-CAM release of 2021')
    with open_atomically(args.out, 'wb', sync=True) as file:
        torch.save(dict(meta=meta, state_dict=state), file)
    print(f'Wrote {args.out}: {num_classes} classes, context pool of {height} x {width}.')


if __name__ == '__main__':
    run(main, parser)
