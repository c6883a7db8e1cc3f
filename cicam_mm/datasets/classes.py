"""Where classes get their numbers: by name, in one order for all data sets of a run."""
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from posixpath import splitext

from mmengine.fileio import join_path, list_dir_or_file
from mmengine.logging import print_log

from cicam_mm.utils.errors import UserError, printable
from cicam_mm.utils.io import read_text

#: Key of ``metainfo`` for classes that have only numbers, which no names contradict.
UNNAMED = 'classes_are_numbers'

#: The only name that two published classes share: a bird and a machine of ImageNet.
SHARED = 'crane'


def check_unique(names: Sequence[str], where: str, allowed: str | None = None) -> None:
    """Refuse two classes of one name; ``where`` says whose classes they are."""
    for name, count in Counter(names).items():
        if count > 1 and name != allowed:
            raise UserError(f'{where} has {count} classes named {name!r}; give each class a name '
                            'of its own.')


def read_class_names(path: str | Path) -> list[str]:
    """Names of classes from a text file, one per line."""
    names = [*filter(None, map(str.strip, read_text(path).split('\n')))]
    if not names:
        raise UserError(f'{path} names no class; write one name per line.')
    return names


def check_same_classes(metainfos: Mapping[str, Mapping | None]) -> None:
    """Refuse class names that differ, since label k must mean the same class everywhere.

    Args:
        metainfos (Mapping[str, Mapping | None]): By owner, such as 'the training set', mappings
            with ``classes``; those without are not compared.
    """
    known = {where: tuple(metainfo['classes']) for where, metainfo in metainfos.items()
             if metainfo and metainfo.get('classes')}
    named = [where for where in known if not metainfos[where].get(UNNAMED)]
    first = next(iter([*named, *known]), None)
    for where, names in known.items():
        check_unique(names, where, SHARED)
        if len(names) != len(known[first]) or where in named and names != known[first]:
            place, (other, name) = next(
                (place, pair) for place, pair in enumerate(zip_longest(names, known[first]))
                if pair[0] != pair[1])
            raise UserError(
                f'{where} has other classes than {first}: class {place} is {other!r} instead of '
                f'{name!r} (of {len(names)} and {len(known[first])} classes); give all the same '
                'names in the same order, for instance by the option classes of the data sets, '
                'for which a folder may be missing.')


def classes_of_checkpoint(checkpoint: Mapping, name: str) -> dict | None:
    """The ``dataset_meta`` of a checkpoint if it names classes, its names printable."""
    meta = checkpoint.get('meta')
    metainfo = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    if not isinstance(metainfo, Mapping):
        return None
    classes = metainfo.get('classes', ())
    if not isinstance(classes, (list, tuple)) or not all(isinstance(c, str) for c in classes):
        raise UserError(f'the classes in the checkpoint {name} are not a list of names; '
                        'remove them from its meta, or specify the classes yourself.')
    return dict(metainfo, classes=tuple(map(printable, classes)))


def number_classes(names: Mapping[object, str], classes: Sequence[str] | None,
                   path: str) -> dict[object, int]:
    """The label of each chosen class of a list by its id there.

    Args:
        names (Mapping[object, str]): Name of each class of the list by its id.
        classes (Sequence[str], optional): Names or ids of the chosen ones in the order of their
            labels; None for all, in the order of the list.
        path (str): The list, for messages.
    """
    if classes is None:
        return {key: label for label, key in enumerate(names)}
    check_unique(classes, 'the option classes')
    labels = {name: label for label, name in enumerate(classes)}
    numbered = {key: labels[each] for key, name in names.items() for each in (key, name)
                if each in labels}
    check_unique([classes[label] for label in numbered.values()], path)
    if unknown := {*range(len(classes))} - {*numbered.values()}:
        raise UserError(f"'{classes[min(unknown)]}' is not in {path} ({len(unknown)} of the "
                        f'classes in all); its names look like {[*names.values()][:3]}.')
    return numbered


def visible_folders(root: str) -> list[str]:
    """Sorted names of the folders in a folder, without hidden ones like .ipynb_checkpoints."""
    return sorted(name for name in list_dir_or_file(root, list_file=False)
                  if not name.startswith('.'))


def sorted_files(folder: str, recursive: bool = True) -> list[str]:
    """Files below a folder, without hidden files and folders."""
    return sorted(path for path in list_dir_or_file(folder, list_dir=False, recursive=recursive)
                  if not any(part.startswith('.') for part in path.split('/')))


def list_images(root: str, labels: Mapping[str, int], extensions: Sequence[str]
                ) -> list[tuple[str, int]]:
    """Find the images of class folders; the log says what is left out.

    Args:
        labels (Mapping[str, int]): Label of each folder. A missing folder is a class without
            images; other folders are left out.
        extensions (Sequence[str]): Of images, in lower case.

    Returns:
        list[tuple[str, int]]: Paths relative to ``root``, sorted by folder and file, and labels.
    """
    _check_no_cycle(root)
    extensions = tuple(extensions)
    folders = visible_folders(root)
    found, others = [], []
    for folder in folders:
        for path in sorted_files(join_path(root, folder)) if folder in labels else ():
            if path.lower().endswith(extensions):
                found.append((f'{folder}/{path}', labels[folder]))
            else:
                others.append(splitext(path)[1].lower() or path)
    filled = {label for _, label in found}
    left_out = {
        'files are not images that can be read here': others,
        'folders are not among the classes': [name for name in folders if name not in labels],
        'images are in no class folder': [path for path in sorted_files(root, recursive=False)
                                          if path.lower().endswith(extensions)],
        'classes have no image': [name for name, label in labels.items() if label not in filled]}
    for what, names in left_out.items():
        if names:
            print_log(f'{root}: {len(names)} {what}, such as {", ".join(sorted({*names})[:3])}',
                      'current', logging.WARNING)
    if not found:
        named = f' ({", ".join([*labels][:3])}{", ..." * (len(labels) > 3)})' if labels else ''
        raise UserError(f"'{root}' has no image in a folder of a class{named}; put the images of "
                        'each class into a folder of its own.')
    return found


def _check_no_cycle(root):
    for folder, names, _ in os.walk(root):
        for link in filter(Path.is_symlink, map(Path(folder).joinpath, names)):
            if Path(folder).resolve().is_relative_to(link.resolve()):
                raise UserError(f'{link} links to a folder above it, so its images would be found '
                                'again and again; remove the link.')
