import numpy as np
import pytest
from breadth import breadth
from golden_files import compare
from scenes import GOLDEN, HELP, SCENES, a_state, heat

from gridmem.render.draw import draw, draw_view
from gridmem.render.frame import frame
from gridmem.render.paint import ACCENT, BACK, BAR, MUTED, PANEL, TEXT, draw_text, text_px

SIZES = [(640, 400), (1280, 800), (1920, 1080), (801, 617), (400, 900), (1500, 410)]
TINY = [(1, 1), (30, 200), (200, 30), (120, 90), (333, 333)]
KINDS = {
    "view": {},
    "whole": {"whole": True},
    "view with heat": {"heat": heat()},
    "whole with heat": {"whole": True, "heat": heat()},
    "help": {"help": HELP},
}


def found(picture, part):
    """Row and column of a picture within another; None if it is not there."""
    height, width = part.shape[:2]
    inside = picture[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1]
    contrasting = np.argwhere((part != part[0, 0]).any(axis=-1))
    places = np.argwhere((inside == part[0, 0]).all(axis=-1))
    for pixel in contrasting[:: len(contrasting) // 30 + 1]:  # a few rule out most places
        here = picture[tuple((places + pixel).T)]
        places = places[(here == part[tuple(pixel)]).all(axis=-1)]
    for row, column in places.tolist():
        if np.array_equal(picture[row : row + height, column : column + width], part):
            return row, column
    return None


def written(picture, text, colour, scale=1, ground=PANEL):
    """Row and column of a text in a picture; None if it is not there."""
    part = np.empty((*text_px(text, scale), 3), np.uint8)
    part[:] = ground
    draw_text(part, text, 0, 0, colour, scale)
    return found(picture, part)


@pytest.mark.parametrize("name", SCENES)
def test_golden_pictures(name, tmp_path):
    compare(GOLDEN, name, SCENES[name](), tmp_path)


def test_every_golden_picture_is_compared():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SCENES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [*SIZES, *TINY])
def test_a_frame_has_the_requested_size(kind, width, height):
    picture = frame(a_state(**KINDS[kind]), width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_a_pure_function_of_its_state(kind):
    state, untouched = a_state(**KINDS[kind]), a_state(**KINDS[kind])
    for leaf in state:
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False
    first, second = frame(state, 640, 400), frame(state, 640, 400)
    first_again = first.copy()
    second[:] = 0
    np.testing.assert_array_equal(first, first_again)
    np.testing.assert_array_equal(frame(untouched, 640, 400), first)
    for leaf, same in zip(state, untouched, strict=True):
        np.testing.assert_array_equal(leaf, same)


@pytest.mark.parametrize(("width", "height", "px"), [(640, 400, 74), (1280, 800, 148)])
def test_a_view_fills_the_window_in_whole_pixels(width, height, px):
    state = a_state()
    view = draw_view(state.view, px, 2, 1)
    row, column = found(frame(state, width, height), view)
    # In the middle, with less than a pixel a cell to spare beside the margins.
    scale = width // 640
    free = height - 18 * scale - 5 * px
    assert 12 * scale <= free < 12 * scale + 5
    assert row == free // 2
    assert (frame(state, width, height)[: height - 18 * scale, :column] == BACK).all()


@pytest.mark.parametrize(
    ("width", "height", "px", "side"), [(640, 400, 31, 39), (1280, 800, 63, 78)]
)
def test_a_whole_cave_with_the_view_outlined_and_beside_it(width, height, px, side):
    state = a_state(whole=True)
    cave = SHOWN[True](px)
    picture = frame(state, width, height)
    assert found(picture, cave)
    assert found(picture, draw_view(state.view, side, 2, 1))


def test_a_view_that_shows_everything_is_not_outlined():
    view = np.zeros((21, 21), np.uint8)
    state = a_state(whole=True, view=view)
    white = (frame(state, 640, 400) == 255).all(axis=-1).sum()
    assert white < (frame(a_state(whole=True), 640, 400) == 255).all(axis=-1).sum() - 500


@pytest.mark.parametrize("heat", [None, heat()], ids=["no heat", "heat"])
def test_without_the_whole_cave_unseen_cells_are_hidden(heat):
    state = a_state(heat=heat)
    tiles, positions = state.tiles.copy(), state.positions.copy()
    tiles[~state.seen] = (tiles[~state.seen] + 1) % 4
    positions[0] = 3, 11
    other = state._replace(tiles=tiles, positions=positions)
    np.testing.assert_array_equal(frame(other, 640, 400), frame(state, 640, 400))
    assert (
        frame(other._replace(whole=True), 640, 400) != frame(state._replace(whole=True), 640, 400)
    ).any()


def test_without_heat_the_seen_cells_do_not_matter_to_a_view():
    state = a_state()
    picture = frame(state._replace(seen=~state.seen), 640, 400)
    np.testing.assert_array_equal(picture, frame(state, 640, 400))


def test_heat_lies_on_the_same_cells_of_view_and_cave():
    for whole, px, row, column in ((False, 74, 1, 2), (True, 31, 3, 5)):
        cool, warm = (frame(a_state(whole=whole, heat=h), 640, 400) for h in (0 * heat(), heat()))
        assert (cool[:, :400] == frame(a_state(whole=whole), 640, 400)[:, :400]).all()
        changed = (cool != warm).any(axis=-1)[:380, :424]
        plain = SHOWN[whole](px)
        top, left = found(cool, plain)
        hottest = warm[top + row * px : top + (row + 1) * px, left + column * px :][:, :px]
        share = (hottest.reshape(-1, 3).astype(int) @ [1, -2, 1] > 100).mean()
        assert share > 0.9  # crimson: much red, some blue, hardly any green
        hot = np.zeros((380, 424), bool)
        for y, x in np.argwhere(heat() > 0):
            y, x = top + (y - 3 + row) * px, left + (x - 5 + column) * px
            hot[y : y + px, x : x + px] = True
        assert not changed[~hot].any()


def _shown_cave(px):
    m, order = a_state(), np.array([1, 2, 0])
    return draw(
        m.tiles,
        m.positions[order],
        px,
        m.seen,
        facing=m.facing[order],
        colours=order,
        highlight=(4, 5, 5),
    )


SHOWN = {False: lambda px: draw_view(a_state().view, px, 2, 1), True: _shown_cave}


@pytest.mark.parametrize(
    ("width", "height", "scale"), breadth([(640, 400, 1), (1280, 800, 2)], (640, 400, 1))
)
def test_the_text_of_the_panel(width, height, scale):
    picture = frame(a_state(), width, height)
    assert written(picture, "GridMem-v0", ACCENT, scale)
    rows = []
    for label, value in a_state().lines:
        row, left = written(picture, label, MUTED, scale)
        same, right = written(picture, value, TEXT, scale)
        assert same == row
        assert left < right
        assert right + text_px(value, scale)[1] == width - 10 * scale
        rows.append(row)
    assert np.diff(rows).tolist() == [13 * scale] * 2
    assert written(picture, "your move; H: help", TEXT, scale)[0] > height - 18 * scale


def test_the_length_of_a_bar_is_its_share():
    shares = (0.0, 0.25, 0.5, 1.0, 1.7)
    bars = tuple((f"bar {n}", share) for n, share in enumerate(shares))
    picture = frame(a_state(bars=bars), 640, 400)
    lengths = []
    for label, share in bars:
        row, _ = written(picture, label, MUTED)
        assert written(picture, f"{100 * share:.0f}%", TEXT)[0] <= row
        lengths.append((picture[row + 3] == BAR).all(axis=-1).sum())
    full = lengths[3]
    assert full > 80
    np.testing.assert_allclose(lengths, [0, full / 4, full / 2, full, full], atol=0.5)


def test_long_text_is_shortened_and_lines_without_room_are_left_out():
    long = "a very long label that says far too much of itself"
    state = a_state(
        title=long, lines=((long, "12 of 34"), *(("more", "1"),) * 50), status=5 * long, help=()
    )
    picture = frame(state, 640, 400)
    assert written(picture, "12 of 34", TEXT)
    assert written(picture, "a very long label ", MUTED)
    assert not written(picture, "a very long label that says", MUTED)
    panel = picture[:, 424:]
    # The margins at the right of the panel, and between it and the status line, stay free.
    assert (panel[:382, -10:] == PANEL).all()
    assert (panel[372:382, 2:] == PANEL).all()


def test_a_long_title_is_wrapped():
    state = a_state(title="GridMem-13x13-v0, seed 3141592653, level 10")
    for size in ((640, 400), (1280, 800)):
        picture = frame(state, *size)
        scale = size[0] // 640
        first = written(picture, "GridMem-13x13-v0, seed", ACCENT, scale)
        rest = written(picture, "level 10", ACCENT, scale)
        assert rest[0] > first[0]
        assert written(picture, "finds", MUTED, scale)[0] > rest[0]


def test_notes_are_at_the_foot_of_the_panel_if_there_is_room():
    state = a_state(notes=("a sentence that is longer than the panel is wide", "", "H   help"))
    picture = frame(state, 640, 400)
    row, _ = written(picture, "H   help", MUTED)
    assert 330 < row < 382
    assert written(picture, "a sentence that is longer", MUTED)
    for changes in ({"whole": True}, {"heat": heat()}, {"lines": (("more", "1"),) * 24}):
        assert not written(frame(state._replace(**changes), 640, 400), "H   help", MUTED)


def test_a_narrow_window_has_no_panel():
    picture = frame(a_state(), 300, 400)
    assert not written(picture, "finds", MUTED)
    assert written(picture, "your move; H: help", TEXT)


def test_help_lies_over_everything_and_darkens_it():
    plain, picture = frame(a_state(), 640, 400), frame(a_state(help=HELP), 640, 400)
    row, column = written(picture, "Keys", ACCENT)
    for number, line in enumerate(HELP[2:], start=2):
        assert written(picture, line, TEXT) == (row + 13 * number, column)
    corner = np.s_[:60, :200]
    np.testing.assert_allclose(picture[corner], (plain[corner].astype(float) + BACK) / 2, atol=1.01)


def test_the_watched_agent_lies_over_the_others():
    together = np.full((3, 2), (4, 5), np.int32)
    state = a_state(whole=True, positions=together)
    alone = state._replace(positions=np.array([(1, 1), (4, 5), (1, 1)], np.int32))
    where = np.s_[200:231, 170:250]
    np.testing.assert_array_equal(frame(state, 640, 400)[where], frame(alone, 640, 400)[where])
