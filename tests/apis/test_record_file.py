import hashlib

import pytest

from cicam_mm.apis.batch import RecordBatches, write_records
from cicam_mm.apis.inputs import Record
from cicam_mm.utils.errors import UserError

RECORDS = [
    Record('a.png'), Record('two\nlines \udcfc.png'), Record('x.tar', None, '1.png', 512, 9),
    Record('x.tar', problem='cut off'), Record('a.png')]


@pytest.mark.parametrize('size', [1, 2, 5, 8])
def test_batches_are_the_list_in_pieces(tmp_path, size):
    listed = write_records(tmp_path / 'list', iter(RECORDS))
    assert listed == dict(
        count=5, sha256=hashlib.sha256((tmp_path / 'list').read_bytes()).hexdigest())
    batches = RecordBatches(tmp_path / 'list', size)
    assert len(batches) == {1: 5, 2: 3, 5: 1, 8: 1}[size]
    found = {number: batches[number] for number in reversed(range(len(batches)))}
    assert [found[number] for number in sorted(found)] == [
        [*enumerate(RECORDS)][start:start + size] for start in range(0, 5, size)]


def test_labels_for_all_or_for_none(tmp_path):
    write_records(tmp_path / 'list', [Record('a', 0), Record('b', problem='lost'), Record('c', 1)])
    with pytest.raises(UserError, match=r"only some of the images up to number 3, 'c', have"):
        write_records(tmp_path / 'list', [Record('a'), Record('b'), Record('c', 0), Record('d')])
