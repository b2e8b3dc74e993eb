"""Tables of text in aligned columns."""

from collections.abc import Sequence


def aligned(cells: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a table with aligned columns.

    Args:
        cells: rows of equal length, headings first. Columns with empty cells only are left out.
        left: number of columns, from the first, that are aligned left; the others right.
    """
    columns = []
    for number, column in enumerate(zip(*cells, strict=True)):
        if any(column[1:]):
            width = max(map(len, column))
            columns.append([f"{cell:{'<' if number < left else '>'}{width}}" for cell in column])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
