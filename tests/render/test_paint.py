import numpy as np
import pytest

from gridmem.render.paint import ADVANCE, FIRST, GLYPH, LAST, draw_text, shorten, text_px

INK = (255, 200, 100)
PRINTABLE = "".join(map(chr, range(FIRST, LAST + 1)))


def written(text, scale=1, row=0, column=0, size=None):
    """Where a text leaves ink on a picture, by default one of exactly its size."""
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


def test_printable_characters_differ_and_do_not_touch():
    assert len({written(character).tobytes() for character in PRINTABLE}) == 95
    ink = written(PRINTABLE)
    assert ink.shape == (GLYPH[0], 95 * ADVANCE - 1)
    assert not ink[:, ADVANCE - 1 :: ADVANCE].any()
    assert {c for c in PRINTABLE if written(c)[7:].any()} == set("gjpqy,;_")


def test_a_scale_repeats_the_pixels():
    small = written("Go, 42!")
    assert text_px("Go, 42!", 3) == (27, 41 * 3)
    np.testing.assert_array_equal(written("Go, 42!", 3), small.repeat(3, axis=0).repeat(3, axis=1))


@pytest.mark.parametrize("row", [-30, -5, 0, 4, 12, 40])
@pytest.mark.parametrize("column", [-90, -8, 0, 25, 70])
def test_text_beyond_the_edges_is_cut_off(row, column):
    room = np.zeros((130, 330), bool)
    room[50 + row : 50 + row + 18, 100 + column : 100 + column + 94] = written("Cut off!", 2)
    ink = written("Cut off!", 2, row, column, size=(20, 60))
    np.testing.assert_array_equal(ink, room[50:70, 100:160])


def test_unknown_characters_are_question_marks():
    np.testing.assert_array_equal(written("né\t\x7f"), written("n???"))


def test_empty_text():
    assert text_px("") == (9, 0)
    assert not written("", size=(9, 9)).any()


def test_shortening():
    texts = [shorten("memory", columns) for columns in (9, 6, 5, 3, 2, 1, 0, -4)]
    assert texts == ["memory", "memory", "mem..", "m..", "..", ".", "", ""]
