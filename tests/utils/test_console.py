from cicam_mm.utils.console import format_table


def test_format_table():
    rows = [['method', 'loc', 'cls'], ['CAM', '8.00', '99.5'], ['CI-CAM', '46', '1']]
    assert format_table(rows) == (
        'method   loc   cls\n'
        '------  ----  ----\n'
        'CAM     8.00  99.5\n'
        'CI-CAM    46     1'
    )
