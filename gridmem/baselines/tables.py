"""Tables of text in aligned columns."""

from collections.abc import Sequence


def aligned(cells: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a table.

    Args:
        cells: rows of equal length, a head first. Columns with nothing below it are left out.
        left: so many columns, the first ones, stand to the left, the others to the right.
    """
    columns = []
    for number, column in enumerate(zip(*cells, strict=True)):
        if any(column[1:]):
            width = max(map(len, column))
            columns.append([f"{cell:{'<' if number < left else '>'}{width}}" for cell in column])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
