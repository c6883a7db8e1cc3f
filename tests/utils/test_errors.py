import errno
import os
import pickle
import signal

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.utils.data import DataLoader

from cicam_mm.utils.errors import UserError, as_sentence, printable


def caught(function, *args):
    with pytest.raises(Exception) as error:  # noqa: B017  whatever it is
        function(*args)
    return error.value


@pytest.mark.parametrize(('error', 'sentence'), [
    (UserError('a.txt, line 3: no number.'), 'a.txt, line 3: no number.'),
    (UserError('class a\nb is unknown'), 'class a b is unknown'),
    (OSError(errno.EACCES, 'Permission denied', 'a\x1b[2J.json'),
     'a\\x1b[2J.json: Permission denied'),
    (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device'),
    (FileNotFoundError("'x' does not exist; check the path."),
     "'x' does not exist; check the path."),
    (pickle.UnpicklingError('refused'), 'refused'),
    (torch.OutOfMemoryError('CUDA out of memory.\nTried'),
     'the device ran out of memory; use smaller batches or images.'),
    (RuntimeError('[unbound_buffer.cc:81] Timed out waiting 10000ms for recv operation'),
     'another rank has not responded in time; check the logs of all ranks, and continue with '
     '--resume.'),
])
def test_sentences(error, sentence):
    assert as_sentence(error) == sentence


def test_unforeseen_errors_keep_their_traceback():
    assert as_sentence(ValueError('x')) is None
    assert printable('Grün 鸟\n\t\udcfc') == 'Grün 鸟\\n\\t\\udcfc'


@pytest.mark.parametrize(('config', 'sentence'), [
    (dict(type='CAMHed'), 'CAMHed is not in the mmpretrain::model registry.'),
    (dict(type='CAMHead', in_channels=3), 'CAMHead.__init__() missing 1 required positional '
     "argument: 'num_classes'"),
    (dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=3)),
     'ResNet: invalid depth 3 for resnet'),
])
def test_mistakes_in_a_config(config, sentence):
    assert as_sentence(caught(MODELS.build, config)).startswith(sentence)


class Damaged:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise UserError('a.jpg is damaged; replace it.')


def test_errors_of_workers():
    """Torch puts a traceback into the message of the error that it raises anew."""
    error = caught(list, DataLoader(Damaged(), num_workers=1))
    assert 'Traceback' in str(error)
    assert as_sentence(error) == 'a.jpg is damaged; replace it.'


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_was_killed():
    error = caught(list, DataLoader(range(2), num_workers=1, collate_fn=killed))
    assert as_sentence(error).startswith('a process that reads images was killed, as when this')
