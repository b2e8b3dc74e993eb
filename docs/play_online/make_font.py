"""Makes font.ttf, the characters of assets/font.png as outlines: `python make_font.py`."""

from pathlib import Path

import numpy as np
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from gridmem.render.paint import ADVANCE, FIRST, GLYPH, LAST, LINE, draw_text

UNIT = 100  # of the font, per pixel of the picture
ASCENT, DESCENT = 10, 2  # pixels; capitals are seven high, and two rows are below the baseline
BASELINE = GLYPH[0] - DESCENT


def outline(character: str):
    """A glyph of rectangles, one for each run of inked pixels in a row."""
    picture = np.zeros((GLYPH[0], ADVANCE, 3), np.uint8)
    draw_text(picture, character, 0, 0, (255, 255, 255))
    ink, pen = picture[..., 0] > 0, TTGlyphPen(None)
    for row, pixels in enumerate(ink):
        edges = np.flatnonzero(np.diff(np.pad(pixels, 1).astype(int)))
        top = (BASELINE - row) * UNIT
        for left, right in edges.reshape(-1, 2) * UNIT:
            pen.moveTo((left, top))
            for corner in ((right, top), (right, top - UNIT), (left, top - UNIT)):
                pen.lineTo(corner)
            pen.closePath()
    return pen.glyph()


def main() -> None:
    """Writes the file."""
    names = {code: f"c{code}" for code in range(FIRST, LAST + 1)}
    glyphs = {names[code]: outline(chr(code)) for code in names}
    glyphs[".notdef"] = glyphs[names[ord("?")]]
    font = FontBuilder(LINE * UNIT, isTTF=True)
    font.setupGlyphOrder([".notdef", *names.values()])
    font.setupCharacterMap(names)
    font.setupGlyf(glyphs)
    font.setupHorizontalMetrics({name: (ADVANCE * UNIT, 0) for name in glyphs})
    font.setupHorizontalHeader(ascent=ASCENT * UNIT, descent=-DESCENT * UNIT)
    font.setupNameTable({"familyName": "GridMem", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=ASCENT * UNIT, sTypoDescender=-DESCENT * UNIT)
    font.setupPost(isFixedPitch=1)
    font.font["head"].created = font.font["head"].modified = 0
    font.font.recalcTimestamp = False
    font.save(Path(__file__).with_name("font.ttf"))


if __name__ == "__main__":
    main()
