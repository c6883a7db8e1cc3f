from types import SimpleNamespace

import pytest

from cicam_mm.engine import ClassCountHook
from cicam_mm.utils.errors import UserError


def runner(num_classes, classes):
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=classes)))
    return SimpleNamespace(
        model=SimpleNamespace(head=SimpleNamespace(num_classes=num_classes)),
        train_dataloader=loader, val_dataloader=loader, test_dataloader=loader)


@pytest.mark.parametrize('stage, split', [('before_train', 'training'),
                                          ('before_val_epoch', 'validation'),
                                          ('before_test_epoch', 'test')])
def test_names_both_numbers_and_the_option(stage, split):
    check = getattr(ClassCountHook(), stage)
    check(runner(3, ('a', 'b', 'c')))
    message = f'the {split} data set has 3 classes but the head has num_classes=10.*num_classes=3'
    with pytest.raises(ValueError, match=message):
        check(runner(10, ('a', 'b', 'c')))


def test_data_without_class_names_pass():
    ClassCountHook().before_train(runner(10, None))


def test_a_single_class_cannot_be_trained():
    with pytest.raises(UserError, match='the single class a, so there is nothing to learn'):
        ClassCountHook().before_train(runner(1, ('a', )))
