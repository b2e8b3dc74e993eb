import runpy

import jax
import numpy as np
import pytest
from golden_files import compare, read, tiles_of
from pictures import CAVE, FACING, GOLDEN, PICTURES, POSITIONS, part_seen

import gridmem
from gridmem.envs.assets import asset
from gridmem.envs.types import Tile
from gridmem.render import sprites
from gridmem.render.draw import DARK, LIGHT, as_text, draw, draw_view
from gridmem.render.sprites import AGENTS, FLOOR, GOLD, PIECE_FOG, ROCK, WALL

EVERY_TILE = np.array([[0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0]], np.uint8)
SIZES = [1, 2, 3, 5, 6, 7, 8, 12, 16, 33]


def cell(picture, row, column, px):
    return picture[row * px : (row + 1) * px, column * px : (column + 1) * px]


def linear(colours):
    """sRGB made proportional to light."""
    share = np.asarray(colours) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def luminance(colours):
    """Relative luminance, by WCAG 2."""
    return linear(colours) @ [0.2126, 0.7152, 0.0722]


# The art, composed cell by cell.


def art():
    picture = read(asset("sprites.png")).astype(float)
    return picture[:80].reshape(5, 16, 16, 16, 4).swapaxes(1, 2)


def test_the_art_is_the_output_of_its_script():
    script = runpy.run_path(str(asset("make_sprites.py")))
    expected = script["sheet"](16).reshape(5, 16, 16, 16, 4).swapaxes(1, 2)
    np.testing.assert_array_equal(art(), expected)


def blend(under, over, opacity):
    return under * (1 - opacity / 255) + over * opacity / 255


def kind_of(row, column):
    hash = (row * 0x9E3779B1 + column * 0x85EBCA77) % 2**32
    hash = ((hash ^ hash >> 15) * 0xC2B2AE3D) % 2**32
    return [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3][hash >> 28]


def by_cells(tiles, pieces, seen):
    """`draw` at 16 pixels; pieces: (row, column) -> row and column of the art."""
    sheet = art()
    height, width = tiles.shape
    picture = np.zeros((height * 16, width * 16, 3))
    for (row, column), tile in np.ndenumerate(tiles):

        def solid(down, right, row=row, column=column):
            row, column = (row + down) % height, (column + right) % width
            return tiles[row, column] in (Tile.WALL, Tile.ROCK)

        kind = kind_of(row, column)
        sides = [0 if solid(*way) else 1 for way in [(-1, 0), (0, 1), (1, 0), (0, -1)]]
        if tile == Tile.WALL:
            # In the ring, what lies beyond the map is as the ring is.
            sides[0] *= row > 0
            sides[1] *= column < width - 1
            sides[2] *= row < height - 1
            sides[3] *= column > 0
            look = sheet[1, sides[0] + 2 * sides[1] + 4 * sides[2] + 8 * sides[3]]
        elif tile == Tile.ROCK:
            look = sheet[2, 4 * kind + sides[0] + 2 * sides[2]]
        else:
            look = sheet[0, 4 * kind + 1 - sides[0] + 2 * (1 - sides[3])]
        look, fog = look[..., :3], sheet[4, 15]
        dim = 0 if seen[row, column] else fog[..., 3:]
        look = blend(look, fog[..., :3], dim)
        if (row, column) in pieces:
            piece = sheet[pieces[row, column]]
            colour = blend(piece[..., :3], fog[..., :3], dim * PIECE_FOG)
            look = blend(look, colour, piece[..., 3:])
        cell(picture, row, column, 16)[:] = look
    return picture


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_is_composed_of_the_art(seed):
    rng = np.random.default_rng(seed)
    tiles = rng.choice(4, (13, 17), p=[0.5, 0.2, 0.2, 0.1]).astype(np.uint8)
    tiles[[0, -1]] = tiles[:, [0, -1]] = Tile.WALL
    seen = rng.random(tiles.shape) < 0.5
    positions = np.stack([rng.integers(1, 12, 9), rng.integers(1, 16, 9)], axis=1)
    facing = rng.integers(0, 5, 9)
    pieces = {(row, column): (3, 15) for row, column in np.argwhere(tiles == Tile.GOAL)}
    for agent in reversed(range(9)):  # the first is on top
        colour = agent % 6
        pieces[tuple(positions[agent])] = 3 + colour // 3, 5 * (colour % 3) + facing[agent]
    picture = draw(tiles, positions, 16, seen, facing=facing)
    np.testing.assert_allclose(picture, by_cells(tiles, pieces, seen), atol=1.5)


@pytest.mark.parametrize("name", PICTURES)
def test_golden_pictures(name, tmp_path):
    compare(GOLDEN, name, PICTURES[name](), tmp_path)


def test_every_golden_picture_is_compared():
    assert {path.stem for path in GOLDEN.iterdir()} == set(PICTURES)


@pytest.mark.parametrize("px", SIZES)
def test_shape_and_dtype(px):
    tiles = tiles_of(CAVE)
    picture = draw(tiles, POSITIONS, px, part_seen(), facing=FACING, highlight=(0, 0, 3))
    assert picture.shape == (9 * px, 15 * px, 3)
    assert picture.dtype == np.uint8
    assert draw_view(tiles[:5, :5], px).shape == (5 * px, 5 * px, 3)


@pytest.mark.parametrize("px", SIZES)
def test_every_tile_shows_its_colour_at_its_place(px):
    picture = draw(EVERY_TILE, tile_px=px)
    for tile, colour in enumerate([FLOOR, WALL, ROCK, GOLD, AGENTS[0]]):
        shown = cell(picture, 0, max(3 * tile - 1, 0), px).reshape(-1, 3).astype(int)
        assert (np.abs(shown - colour).sum(axis=-1) < 30).mean() > 0.05


@pytest.mark.parametrize("px", SIZES)
@pytest.mark.parametrize("seen", [True, False])
def test_tiles_differ_in_brightness_too(px, seen):
    picture = draw(EVERY_TILE, tile_px=px, seen=np.full(EVERY_TILE.shape, seen))
    columns = 0, 2, 5, 8, 11
    light = np.sort([luminance(cell(picture, 0, column, px)).mean() for column in columns])
    assert np.diff(light).min() > 0.005


def test_the_colours_of_agents_differ_without_red_or_green():
    # Machado, Oliveira and Fernandes 2009: how deuteranopes and protanopes see linear RGB.
    for matrix in (
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    ):
        colours = np.clip(linear([*AGENTS, FLOOR]) @ np.transpose(matrix), 0, 1) ** (1 / 2.4)
        far = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 9 * np.eye(7)
        assert far.min() > 0.1


def test_facings_and_colours_differ_also_at_8_pixels():
    floor = np.zeros((1, 1), np.uint8)
    here = np.zeros((1, 2), np.int64)
    for px in (8, 16):
        looks = {
            draw(floor, here, px, facing=np.array([f]), colours=np.array([c])).tobytes()
            for f in range(5)
            for c in range(6)
        }
        assert len(looks) == 30


def test_colours_follow_the_index_of_the_agent_modulo_six():
    tiles, row = np.zeros((1, 8), np.uint8), np.zeros(8, int)
    positions = np.stack([row, np.arange(8)], axis=1)
    plain = draw(tiles, positions, 1)
    np.testing.assert_array_equal(plain[0], [*AGENTS, *AGENTS[:2]])
    given = draw(tiles, positions, 1, colours=np.arange(8)[::-1])
    np.testing.assert_array_equal(given[0], plain[0, ::-1])


def test_the_first_agent_is_on_top_and_agents_hide_goals():
    tiles = np.array([[Tile.GOAL]], np.uint8)
    here = np.zeros((3, 2), np.int64)
    np.testing.assert_array_equal(draw(tiles, here), draw(tiles * 0, here[:1]))


def test_in_a_view_all_other_agents_look_alike():
    view = np.zeros((3, 3), np.uint8)
    view[1, 1] = view[0, 0] = view[2, 1] = Tile.AGENT
    picture = draw_view(view, 16, facing=2, colour=4)
    floor, here = np.zeros((1, 1), np.uint8), np.zeros((1, 2), np.int64)
    own = draw(floor, here, facing=np.array([2]), colours=np.array([4]))
    other = draw(floor, here, colours=np.array([5]))
    np.testing.assert_array_equal(cell(picture, 1, 1, 16), own)
    np.testing.assert_array_equal(cell(picture, 0, 0, 16), other)
    np.testing.assert_array_equal(cell(picture, 2, 1, 16), other)


def test_a_view_does_not_reveal_its_position():
    # All empty floors look alike, also in pictures of tiles that show their agents themselves.
    view = np.zeros((5, 5), np.uint8)
    for picture in (draw_view(view), draw(view)):
        np.testing.assert_array_equal(cell(picture, 0, 0, 16), cell(picture, 4, 3, 16))


def test_tiles_that_show_their_agents():
    view = np.array([[0, 4], [4, 1]], np.uint8)
    picture = draw(view)
    np.testing.assert_array_equal(cell(picture, 0, 1, 16), cell(picture, 1, 0, 16))
    assert (cell(picture, 0, 1, 16) == AGENTS[0]).all(-1).any()


def test_fog_covers_unseen_cells():
    seen = part_seen()
    plain, fogged = (draw(tiles_of(CAVE), tile_px=16, seen=s) for s in (None, seen))
    for (row, column), visible in np.ndenumerate(seen):
        before, after = cell(plain, row, column, 16), cell(fogged, row, column, 16)
        if visible:
            np.testing.assert_array_equal(before, after)
        else:
            assert luminance(after).mean() < luminance(before).mean()
            assert np.ptp(after, axis=(0, 1)).max() < np.ptp(before, axis=(0, 1)).max()


@pytest.mark.parametrize("px", [4, 8, 16])
def test_a_highlight_changes_only_a_frame_around_its_square(px):
    tiles, line = np.zeros((9, 9), np.uint8), max(px // 8, 1)
    plain, framed = draw(tiles, tile_px=px), draw(tiles, tile_px=px, highlight=(3, 4, 3))
    changed = (plain != framed).any(axis=-1)
    expected = np.zeros_like(changed)
    expected[2 * px - 2 * line : 5 * px + 2 * line, 3 * px - 2 * line : 6 * px + 2 * line] = True
    expected[2 * px : 5 * px, 3 * px : 6 * px] = False
    np.testing.assert_array_equal(changed, expected)
    np.testing.assert_array_equal(framed[2 * px - 1, 3 * px], LIGHT)
    np.testing.assert_array_equal(framed[5 * px + 2 * line - 1, 6 * px], DARK)


@pytest.mark.parametrize("square", [(0, 0, 5), (8, 8, 5), (4, 4, 99), (20, -20, 3)])
def test_a_highlight_may_extend_beyond_the_map(square):
    tiles = np.zeros((9, 9), np.uint8)
    big = np.zeros((129, 129), np.uint8)
    around = draw(big, tile_px=8, highlight=(square[0] + 60, square[1] + 60, square[2]))
    np.testing.assert_array_equal(
        draw(tiles, tile_px=8, highlight=square), around[480 : 69 * 8, 480 : 69 * 8]
    )


def test_drawing_is_deterministic_and_does_not_change_its_arguments():
    tiles, positions, seen, facing = tiles_of(CAVE), POSITIONS.copy(), part_seen(), FACING.copy()
    first = draw(tiles, positions, 16, seen, facing=facing, highlight=(3, 3, 5))
    kept = first.copy()
    first[:] = 0
    again = draw(tiles, positions, 16, seen, facing=facing, highlight=(3, 3, 5))
    np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(tiles, tiles_of(CAVE))
    np.testing.assert_array_equal(positions, POSITIONS)
    np.testing.assert_array_equal(seen, part_seen())
    np.testing.assert_array_equal(facing, FACING)


def test_without_the_art_there_are_plain_colours(monkeypatch):
    monkeypatch.setattr(sprites, "ATLAS", "nosuch.png")
    sprites.sprites.cache_clear()
    try:
        picture = draw(np.array([[0, 1, 2, 3, 0]], np.uint8), np.array([[0, 4]]), 8)
    finally:
        sprites.sprites.cache_clear()
    for column, colour in enumerate([FLOOR, WALL, ROCK, GOLD, AGENTS[0]]):
        assert (cell(picture, 0, column, 8) == np.array(colour)).all()


def test_an_invalid_tile_size_is_refused():
    with pytest.raises(ValueError, match="tile_px is 0; it must be a whole number of pixels"):
        draw(tiles_of(CAVE), tile_px=0)


@pytest.mark.parametrize("facing", [-1, 5])
def test_an_invalid_facing_is_refused(facing):
    view = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match="a facing must be 0"):
        draw(view, np.array([[1, 1]]), facing=np.array([facing]))
    with pytest.raises(ValueError, match="a facing must be 0"):
        draw_view(view, facing=facing)


# Text.


def test_text_has_the_format_of_text_map():
    rows = "######", "#0.%G#", "#%...#", "######"
    tiles = np.array(gridmem.TextMap(rows).generate(jax.random.key(0)))
    tiles[1, 4] = Tile.GOAL
    assert as_text(tiles) == "\n".join(rows).replace("0", ".")


def test_text_shows_agents_over_the_tiles():
    tiles = np.array([[Tile.FLOOR, Tile.GOAL], [Tile.AGENT, Tile.ROCK]], np.uint8)
    kept = tiles.copy()
    assert as_text(tiles) == ".G\n@%"
    assert as_text(tiles, np.array([[0, 1], [0, 0]])) == "@@\n@%"
    np.testing.assert_array_equal(tiles, kept)
