"""Lists for GlaS: ``python docs/study/glas_lists.py data/glas``.

From ``images.csv`` with the columns name, split and class, ``images/NAME.jpg`` and
``masks/NAME.png`` it writes ``image_ids.txt``, ``class_labels.txt`` and ``localization.txt`` to
``lists/train``, ``lists/val`` (every fifth training image) and ``lists/test``, or below --out.
"""
import argparse
import csv
from pathlib import Path

CLASSES = 'benign', 'malignant'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path, help='default: lists in the folder')
    args = parser.parse_args()
    with (args.folder / 'images.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    training = [row for row in rows if row['split'] == 'train']
    splits = dict(train=[row for i, row in enumerate(training) if i % 5], val=training[::5],
                  test=[row for row in rows if row['split'] == 'test'])
    for split, images in splits.items():
        folder = (args.out or args.folder / 'lists') / split
        folder.mkdir(parents=True, exist_ok=True)
        for name, line in (('image_ids', 'images/{name}.jpg'),
                           ('class_labels', 'images/{name}.jpg,{label}'),
                           ('localization', 'images/{name}.jpg,masks/{name}.png,')):
            (folder / f'{name}.txt').write_text(''.join(
                line.format(name=row['name'], label=CLASSES.index(row['class'])) + '\n'
                for row in images))


if __name__ == '__main__':
    main()
