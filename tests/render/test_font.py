import numpy as np
import pytest

from gridmem.render.font import ADVANCE, FIRST, GLYPH, LAST, cut, draw_text, text_px

INK = (255, 200, 100)
PRINTABLE = "".join(map(chr, range(FIRST, LAST + 1)))


def written(text, scale=1, row=0, column=0, size=None):
    """Where a text leaves ink on a picture, by default one of just its size."""
    picture = np.full((*(size or text_px(text, scale)), 3), 7, np.uint8)
    draw_text(picture, text, row, column, INK, scale)
    ink = (picture == INK).all(axis=-1)
    assert (picture[~ink] == 7).all()
    return ink


def test_letters_by_hand():
    assert ["".join(".#"[dot] for dot in row) for row in written("Ag").astype(int)] == [
        ".###.......",
        "#...#......",
        "#...#..####",
        "#####.#...#",
        "#...#.#...#",
        "#...#.#...#",
        "#...#..####",
        "..........#",
        ".......###.",
    ]


def test_all_printable_characters_are_there_and_differ():
    assert len(PRINTABLE) == 95
    looks = {written(character).tobytes() for character in PRINTABLE}
    assert len(looks) == 95
    assert [character for character in PRINTABLE if not written(character).any()] == [" "]


def test_only_what_hangs_below_the_line_does():
    assert {c for c in PRINTABLE if written(c)[7:].any()} == set("gjpqy,;_")


def test_letters_stand_apart():
    ink = written(PRINTABLE)
    assert ink.shape == (GLYPH[0], 95 * ADVANCE - 1)
    assert not ink[:, ADVANCE - 1 :: ADVANCE].any()


@pytest.mark.parametrize("scale", [2, 3])
def test_a_scale_repeats_the_pixels(scale):
    small = written("Go, 42!")
    assert text_px("Go, 42!", scale) == (9 * scale, 41 * scale)
    np.testing.assert_array_equal(
        written("Go, 42!", scale), small.repeat(scale, axis=0).repeat(scale, axis=1)
    )


@pytest.mark.parametrize("row", [-30, -5, 0, 4, 12, 40])
@pytest.mark.parametrize("column", [-90, -8, 0, 25, 70])
def test_what_does_not_fit_is_cut_off(row, column):
    room = np.zeros((130, 330), bool)
    room[50 + row : 50 + row + 18, 100 + column : 100 + column + 94] = written("Cut off!", 2)
    ink = written("Cut off!", 2, row, column, size=(20, 60))
    np.testing.assert_array_equal(ink, room[50:70, 100:160])


def test_unknown_characters_are_question_marks():
    np.testing.assert_array_equal(written("né\t\x7f"), written("n???"))


def test_no_text():
    assert text_px("") == (9, 0)
    assert not written("", size=(9, 9)).any()


def test_cutting():
    texts = [cut("memory", columns) for columns in (9, 6, 5, 3, 2, 1, 0, -4)]
    assert texts == ["memory", "memory", "mem..", "m..", "..", ".", "", ""]
