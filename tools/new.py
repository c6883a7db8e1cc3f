"""Write a config for your own images: ``cicam_mm new FOLDER``.

FOLDER has a folder of images for each class or, to choose the splits yourself, such folders in
``train``, ``val`` and ``test``. Otherwise three fifths of each class are for training, a fifth to
choose theta on, and a fifth for testing.
"""
from pathlib import Path
from pprint import pformat

from _cli import ArgumentParser, run

CONFIG = """\
# CI-CAM on {folder}:
# {counts}. After adding images, run `cicam_mm new` again.
_base_ = 'cicam_mm::_base_/own_images.py'

classes = [
    {classes}]
model = dict(head=dict(num_classes={num_classes}))
data_preprocessor = dict(num_classes={num_classes})

data = dict(
    type='FolderLocalization',
    data_root={folder!r},
    {boxes}classes=classes)
train_dataloader = dict(batch_size={batch_size}, dataset=dict(
    {train},
    pipeline={{{{_base_.train_pipeline}}}}, **data))
val_dataloader = dict(dataset=dict(
    {val},
    pipeline={{{{_base_.test_pipeline}}}}, **data))
test_dataloader = dict(dataset=dict(
    {test},
    pipeline={{{{_base_.test_pipeline}}}}, **data))
{evaluators}
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
"""
NO_BOXES = """
# Without boxes there is only the class to validate.
val_evaluator = dict(_delete_=True, type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
"""
#: Of five images in a row, those that a split has.
SPLITS = dict(train=(2, 3, 4), val=(0, ), test=(1, ))

parser = ArgumentParser('Write a config for your own images, a folder for each class.',
                        'new birds --boxes boxes.csv')
parser.add_argument('folder', type=Path)
parser.add_argument('--boxes', metavar='FILE', help='a CSV file in FOLDER with the columns '
                    'path,x0,y0,x1,y1, for images of the splits val and test at least')
parser.add_output('--out', metavar='CONFIG', help='default: FOLDER.py')


def main(args) -> None:
    from cicam_mm.datasets import FolderLocalization
    from cicam_mm.utils.errors import UserError
    from cicam_mm.utils.io import write_atomically

    out = args.out or Path(f'{args.folder.resolve().name}.py')
    if out.exists():
        raise UserError(f'{out} exists; name another file with --out')
    folder = str(args.folder.resolve())
    has_splits = all((args.folder / split).is_dir() for split in SPLITS)
    sets = {split: FolderLocalization(data_root=folder, data_prefix=split if has_splits else '')
            for split in SPLITS}
    classes = sets['train'].metainfo['classes']
    if len(classes) < 2:
        raise UserError(f'{folder} has images of {len(classes)} class; training needs at least '
                        'two')
    config, counts = {}, {}
    for split, dataset in sets.items():
        size, part = len(dataset), SPLITS[split]
        if has_splits:
            counts[split], config[split] = size, f'data_prefix={split!r}'
        else:
            counts[split] = sum(i % 5 in part for i in range(size))
            config[split] = f'indices=[i for i in range({size}) if i % 5 in {part}]'
        if split != 'train' and args.boxes:
            config[split] += ', test_mode=True'
    write_atomically(out, CONFIG.format(
        folder=folder, num_classes=len(classes),
        classes=pformat([*classes], width=94, compact=True)[1:-1].replace('\n', '\n   '),
        counts=', '.join(f'{count} images for {split}' for split, count in counts.items()),
        boxes=f'box_file={args.boxes!r},\n    ' if args.boxes else '',
        batch_size=min(32, max(counts['train'] // 10, 4)),
        epochs=min(max(9000 // counts['train'], 5), 30), evaluators=NO_BOXES * (not args.boxes),
        **config))
    print(f'Wrote {out}. Next: cicam_mm train {out}')


if __name__ == '__main__':
    run(main, parser)
