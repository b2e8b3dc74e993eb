"""The words around a picture of the cave: a side panel, a status line, a box of help."""

from textwrap import wrap

import numpy as np
from jaxtyping import UInt8

from gridmem.render.font import ADVANCE, GLYPH, LINE, cut, draw_text, text_px
from gridmem.render.paint import ACCENT, BAR, EDGE, MUTED, PANEL, TEXT, dim, fill, paste

Picture = UInt8[np.ndarray, "h w 3"]
PAD, GAP = 10, 8  # font pixels around everything, and between the parts of the panel
TITLE_LINES = 3
SHARE = 4  # characters of a bar's number: "100%"


def status_line(picture: Picture, text: str, scale: int) -> int:
    """Writes a line along the lower edge; returns its height in pixels."""
    height = (LINE + 6) * scale
    row = len(picture) - height
    fill(picture, row, 0, height, picture.shape[1], PANEL)
    fill(picture, row, 0, scale, picture.shape[1], EDGE)
    columns = (picture.shape[1] // scale - 2 * PAD) // ADVANCE
    draw_text(picture, cut(text, columns), row + 6 * scale, PAD * scale, TEXT, scale)
    return height


def side_panel(
    picture: Picture,
    title: str,
    lines: tuple[tuple[str, str], ...],
    bars: tuple[tuple[str, float], ...],
    scale: int,
) -> int:
    """Writes into the whole of a picture; what has no room below is left out.

    Returns:
        the first row of pixels that is still free.
    """
    height, width = picture.shape[:2]
    columns = (width // scale - 2 * PAD) // ADVANCE
    left, right = PAD * scale, width - PAD * scale
    fill(picture, 0, 0, height, width, PANEL)
    fill(picture, 0, 0, height, scale, EDGE)
    row = PAD * scale
    for line in wrap(title, columns, max_lines=TITLE_LINES, placeholder="..") or [""]:
        draw_text(picture, line, row, left, ACCENT, scale)
        row += LINE * scale
    row += 2 * scale
    fill(picture, row, left, scale, right - left, EDGE)
    row += GAP * scale
    room = height - (GLYPH[0] + PAD) * scale
    for label, value in lines:
        if row > room:
            break
        value = cut(value, columns)
        label = cut(label, columns - len(value) - 1)
        draw_text(picture, label, row, left, MUTED, scale)
        draw_text(picture, value, row, right - text_px(value, scale)[1], TEXT, scale)
        row += (LINE + 1) * scale
    row += GAP * scale if bars else 0
    label_columns = min(max((len(label) for label, _ in bars), default=0), columns // 2)
    for label, share in bars:
        if row > room:
            break
        draw_text(picture, cut(label, label_columns), row, left, MUTED, scale)
        start = left + (label_columns + 1) * ADVANCE * scale
        _bar(picture, row, start, right, share, scale)
        row += (LINE + 1) * scale
    return row + GAP * scale


def _bar(picture: Picture, row: int, left: int, right: int, share: float, scale: int) -> None:
    number = f"{100 * share:.0f}%"
    draw_text(picture, number, row, right - text_px(number, scale)[1], TEXT, scale)
    length = right - left - (SHARE + 1) * ADVANCE * scale
    fill(picture, row, left, 7 * scale, length, EDGE)
    fill(picture, row, left, 7 * scale, round(length * min(max(share, 0.0), 1.0)), BAR)


def notes(picture: Picture, lines: tuple[str, ...], row: int, scale: int) -> None:
    """Writes lines, wrapped, at the foot of a panel; nothing if there is no room below a row."""
    columns = (picture.shape[1] // scale - 2 * PAD) // ADVANCE
    wrapped = [part for line in lines for part in _wrapped(line, columns)]
    top = len(picture) - (PAD + len(wrapped) * (LINE + 1)) * scale
    if top < row or not wrapped:
        return
    for number, line in enumerate(wrapped):
        at = top + number * (LINE + 1) * scale
        draw_text(picture, cut(line, columns), at, PAD * scale, MUTED, scale)


def _wrapped(line: str, columns: int) -> list[str]:
    """A line as several, and with its own gaps where it fits."""
    return [line] if len(line) <= columns else wrap(line, max(columns, 1))


def inset(picture: Picture, inner: UInt8[np.ndarray, "y x 3"], caption: str, scale: int) -> None:
    """Puts a small picture with its caption at the foot of a panel."""
    row = len(picture) - PAD * scale - len(inner)
    column = (picture.shape[1] - inner.shape[1] + scale) // 2
    fill(
        picture,
        row - scale,
        column - scale,
        len(inner) + 2 * scale,
        inner.shape[1] + 2 * scale,
        EDGE,
    )
    paste(picture, inner, row, column)
    draw_text(picture, caption, row - (LINE + 1) * scale, PAD * scale, MUTED, scale)


def help_box(picture: Picture, lines: tuple[str, ...], scale: int) -> None:
    """Lays a box of text over the middle of a picture, the first line its heading."""
    height, width = picture.shape[:2]

    def size(scale: int) -> tuple[int, int]:
        columns = max(map(len, lines)) * ADVANCE - 1
        rows = (len(lines) - 1) * (LINE + 1) + GLYPH[0]
        return (rows + 2 * PAD) * scale, (columns + 2 * PAD) * scale

    while scale > 1 and (size(scale)[0] > height or size(scale)[1] > width):
        scale -= 1
    box_height, box_width = size(scale)
    top, left = max((height - box_height) // 2, 0), max((width - box_width) // 2, 0)
    dim(picture)
    fill(picture, top - scale, left - scale, box_height + 2 * scale, box_width + 2 * scale, EDGE)
    fill(picture, top, left, box_height, box_width, PANEL)
    for number, line in enumerate(lines):
        row = top + (PAD + number * (LINE + 1)) * scale
        draw_text(picture, line, row, left + PAD * scale, TEXT if number else ACCENT, scale)
