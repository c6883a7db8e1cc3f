import pytest

from cicam_mm.utils.io import spreadsheet_cell, spreadsheet_text


@pytest.mark.parametrize(('value', 'cell'), [
    ('=cmd|A0', "'=cmd|A0"), ('@x', "'@x"), ('-x', "'-x"), ('+x', "'+x"), ('\t=1', "'\t=1"),
    ('-1.5', '-1.5'), (-1.5, -1.5), ('a=b', 'a=b'), ('', ''), (None, None),
])
def test_no_cell_is_a_formula(value, cell):
    assert spreadsheet_cell(value) == cell
    assert not isinstance(value, str) or spreadsheet_text(cell) == value
