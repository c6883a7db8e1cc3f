"""Cells of CSV files that people open in a spreadsheet."""


def spreadsheet_cell(value):
    """Escape a CSV cell that a spreadsheet would take for a formula, which can run commands.

    Texts that begin with = + - @ or a control character get a leading apostrophe unless they are
    numbers; other values are returned unchanged.
    """
    if not isinstance(value, str) or not value.startswith(('=', '+', '-', '@', '\t', '\r', '\n')):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def spreadsheet_text(cell: str) -> str:
    """The text that :func:`spreadsheet_cell` turned into a cell."""
    return cell[1:] if cell[:1] == "'" and spreadsheet_cell(cell[1:]) == cell else cell
