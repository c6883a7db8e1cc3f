import pytest

from cicam_mm.datasets import FolderLocalization
from cicam_mm.datasets.classes import (
    UNNAMED,
    check_same_classes,
    classes_of_checkpoint,
    read_class_names,
)
from cicam_mm.utils.errors import UserError


def check(first, second, **more):
    check_same_classes({'the training set': dict(classes=first),
                        'the validation set': dict(classes=second), **more})


@pytest.mark.parametrize('first, second, problem', [
    (['a', 'b', 'c'], ['a', 'c', 'b'], r"class 1 is 'c' instead of 'b' \(of 3 and 3 classes\)"),
    (['a', 'b'], ['a', 'b', 'c'], r"class 2 is 'c' instead of None \(of 3 and 2 classes\)"),
])
def test_other_names_are_refused(first, second, problem):
    check(first, (*first, ), checkpoint=None, other={})
    with pytest.raises(UserError, match=f'the validation set has other classes than the training '
                       f'set: .*{problem}'):
        check(first, second)


def test_classes_without_names_are_only_counted():
    numbers = {'classes': ('0', '1', '2'), UNNAMED: True}
    check_same_classes({'a': numbers, 'b': dict(classes='xyz'), 'c': numbers})
    for metainfos in ({'a': numbers, 'b': dict(classes='xy')},
                      {'b': dict(classes='xy'), 'a': numbers}):
        with pytest.raises(UserError, match='has other classes than'):
            check_same_classes(metainfos)
    with pytest.raises(UserError, match='c has other classes than b'):
        check_same_classes({'a': numbers, 'b': dict(classes='xyz'), 'c': dict(classes='xzy')})


def test_classes_of_a_checkpoint():
    found = classes_of_checkpoint(dict(meta=dict(dataset_meta=dict(classes=['a', 'b\n']))), 'x')
    assert found == dict(classes=('a', 'b\\n'))
    assert classes_of_checkpoint({}, 'x.pth') is classes_of_checkpoint(dict(meta=3), 'x') is None
    for classes in [1], 'ab', None:
        with pytest.raises(UserError, match='in the checkpoint x.pth are not a list of names'):
            classes_of_checkpoint(dict(meta=dict(dataset_meta=dict(classes=classes))), 'x.pth')


@pytest.mark.parametrize(('content', 'names'), [
    (b'\xef\xbb\xbfani\r\nauklet  \r\n\r\n', ['ani', 'auklet']),
    ('caf\u00e9 au lait\n\tani'.encode(), ['caf\u00e9 au lait', 'ani']),
])
def test_a_file_of_class_names(tmp_path, content, names):
    (tmp_path / 'names.txt').write_bytes(content)
    assert read_class_names(tmp_path / 'names.txt') == names
    data = FolderLocalization('x', classes=str(tmp_path / 'names.txt'), lazy_init=True)
    assert data.metainfo['classes'] == tuple(names)


def test_a_file_without_class_names(tmp_path):
    (tmp_path / 'names.txt').write_bytes(b'\n \n')
    with pytest.raises(UserError, match='names.txt names no class; write one name per line.'):
        FolderLocalization('x', classes=str(tmp_path / 'names.txt'), lazy_init=True)
