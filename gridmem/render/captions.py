"""The text around a picture of the cave: a side panel, a status line, a help box."""

from textwrap import wrap

import numpy as np
from jaxtyping import UInt8

from gridmem.render.paint import (
    ACCENT,
    ADVANCE,
    BAR,
    EDGE,
    GLYPH,
    LINE,
    MUTED,
    PANEL,
    TEXT,
    Picture,
    dim,
    draw_text,
    fill,
    paste,
    shorten,
    text_px,
)

PAD, GAP = 10, 8  # font pixels around everything, and between the parts of the panel
TITLE_LINES = 3
PERCENT_COLUMNS = 4  # characters of a bar's number: "100%"


def status_line(picture: Picture, text: str, scale: int) -> int:
    """Writes a line along the lower edge; returns its height in pixels."""
    height, columns = (LINE + 6) * scale, _columns(picture, scale)
    row = len(picture) - height
    fill(picture, row, 0, height, picture.shape[1], PANEL)
    fill(picture, row, 0, scale, picture.shape[1], EDGE)
    draw_text(picture, shorten(text, columns), row + 6 * scale, PAD * scale, TEXT, scale)
    return height


def side_panel(
    picture: Picture,
    title: str,
    lines: tuple[tuple[str, str], ...],
    bars: tuple[tuple[str, float], ...],
    scale: int,
) -> int:
    """Fills a picture with a title, pairs of label and value, and bars, as far as there is room.

    Returns:
        the first row of pixels that is still free.
    """
    height, width = picture.shape[:2]
    columns = _columns(picture, scale)
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
    last_row = height - (GLYPH[0] + PAD) * scale
    for label, value in lines:
        if row > last_row:
            break
        value = shorten(value, columns)
        label = shorten(label, columns - len(value) - 1)
        draw_text(picture, label, row, left, MUTED, scale)
        draw_text(picture, value, row, right - text_px(value, scale)[1], TEXT, scale)
        row += (LINE + 1) * scale
    row += GAP * scale if bars else 0
    label_columns = min(max((len(label) for label, _ in bars), default=0), columns // 2)
    start = left + (label_columns + 1) * ADVANCE * scale
    length = right - start - (PERCENT_COLUMNS + 1) * ADVANCE * scale
    for label, share in bars:
        if row > last_row:
            break
        percent = f"{100 * share:.0f}%"
        draw_text(picture, shorten(label, label_columns), row, left, MUTED, scale)
        draw_text(picture, percent, row, right - text_px(percent, scale)[1], TEXT, scale)
        fill(picture, row, start, 7 * scale, length, EDGE)
        fill(picture, row, start, 7 * scale, round(length * min(max(share, 0.0), 1.0)), BAR)
        row += (LINE + 1) * scale
    return row + GAP * scale


def panel_notes(picture: Picture, lines: tuple[str, ...], row: int, scale: int) -> None:
    """Writes lines, wrapped, at the foot of a panel; nothing if they do not fit below `row`."""
    columns = _columns(picture, scale)
    wrapped = []
    for line in lines:  # one that fits keeps its spaces
        wrapped += [line] if len(line) <= columns else wrap(line, max(columns, 1))
    top = len(picture) - (PAD + len(wrapped) * (LINE + 1)) * scale
    if top >= row:
        for number, line in enumerate(wrapped):
            line_row = top + number * (LINE + 1) * scale
            draw_text(picture, shorten(line, columns), line_row, PAD * scale, MUTED, scale)


def panel_inset(
    picture: Picture, inner: UInt8[np.ndarray, "y x 3"], caption: str, scale: int
) -> None:
    """Puts a small picture with its caption at the foot of a panel."""
    height, width = inner.shape[:2]
    row = len(picture) - PAD * scale - height
    column = (picture.shape[1] - width + scale) // 2
    fill(picture, row - scale, column - scale, height + 2 * scale, width + 2 * scale, EDGE)
    paste(picture, inner, row, column)
    draw_text(picture, caption, row - (LINE + 1) * scale, PAD * scale, MUTED, scale)


def help_box(picture: Picture, lines: tuple[str, ...], scale: int) -> None:
    """Draws a box of text over the middle of a picture, the first line as its heading."""
    height, width = picture.shape[:2]
    rows = (len(lines) - 1) * (LINE + 1) + GLYPH[0] + 2 * PAD
    columns = max(map(len, lines)) * ADVANCE - 1 + 2 * PAD
    scale = max(min(scale, height // rows, width // columns), 1)
    box_height, box_width = rows * scale, columns * scale
    top, left = max((height - box_height) // 2, 0), max((width - box_width) // 2, 0)
    dim(picture)
    fill(picture, top - scale, left - scale, box_height + 2 * scale, box_width + 2 * scale, EDGE)
    fill(picture, top, left, box_height, box_width, PANEL)
    for number, line in enumerate(lines):
        row = top + (PAD + number * (LINE + 1)) * scale
        draw_text(picture, line, row, left + PAD * scale, TEXT if number else ACCENT, scale)


def _columns(picture: Picture, scale: int) -> int:
    """How many characters fit into a line."""
    return (picture.shape[1] // scale - 2 * PAD) // ADVANCE
