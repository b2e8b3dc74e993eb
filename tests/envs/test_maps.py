"""Maps: bit-packed sets, the largest region, where goals and spawns go, and what caves are like."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest
from breadth import breadth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twin import flood, regions

import gridmem
from gridmem import NoiseMap, TextMap, Tile
from gridmem.envs.bitset import count, largest_region, pack, unpack, within
from gridmem.envs.maps import place
from gridmem.envs.noise import NOISE_UNIT, fractal_noise

CLASSIC = [id for id in gridmem.CONFIGS if "Dig" not in id]
DIG = [id for id in gridmem.CONFIGS if "Dig" in id]
FEW = "GridMem-9x9-v0", "GridMem-Dig-v0"


@jax.jit
def largest(free):
    return unpack(largest_region(pack(free)), free.shape[1])


# ---- sets of cells


@pytest.mark.parametrize("width", [5, 17, 31, 32, 33, 42, 63, 64, 65, 82, 95, 96, 97, 100])
def test_pack_and_unpack(width):
    cells = np.random.default_rng(width).random((6, width)) < 0.4
    bits = np.asarray(jax.jit(pack)(cells))
    for word, row in np.ndindex(bits.shape):
        part = cells[row, 32 * word : 32 * (word + 1)]
        assert bits[word, row] == sum(1 << i for i, cell in enumerate(part) if cell)
    assert count(jnp.asarray(bits)) == cells.sum()
    np.testing.assert_array_equal(jax.jit(unpack, static_argnums=1)(bits, width), cells)


@pytest.mark.parametrize("width", [9, 32, 70])
@pytest.mark.parametrize("steps", [0, 1, 7, 1000])
def test_cells_within_steps_are_those_that_so_many_moves_reach(width, steps):
    rng = np.random.default_rng(width)
    free = np.pad(rng.random((8, width - 2)) < 0.7, 1)
    start = np.zeros_like(free)
    start[tuple(rng.choice(np.argwhere(free)))] = True
    expected = start
    for _ in range(min(steps, free.size)):
        near = np.pad(expected, 1)
        moved = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
        expected = expected | (moved & free)
    found = jax.jit(within)(pack(jnp.array(start)), pack(jnp.array(free)), jnp.int32(steps))
    np.testing.assert_array_equal(unpack(found, width), expected)


# ---- the largest region


def spiral(height, width):
    """One corridor that winds inwards, cells apart from its neighbour by one wall."""
    free = np.zeros((height, width), bool)
    row, column, move = 1, 1, (0, 1)
    free[row, column] = True
    while True:
        for _ in range(2):  # straight on, or else one turn to the right
            ahead = [(row + k * move[0], column + k * move[1]) for k in (1, 2)]
            inside = 0 < ahead[0][0] < height - 1 and 0 < ahead[0][1] < width - 1
            if inside and not any(free[min(r, height - 1), min(c, width - 1)] for r, c in ahead):
                break
            move = (move[1], -move[0])
        else:
            return free
        row, column = ahead[0]
        free[row, column] = True


def snake(height, width):
    """Corridors from side to side, joined at alternating ends."""
    free = np.zeros((height, width), bool)
    free[1:-1:2, 1:-1] = True
    free[2:-1:4, -2] = free[4:-1:4, 1] = True
    return free


def comb(height, width):
    """Columns that hang from one corridor."""
    free = np.zeros((height, width), bool)
    free[1, 1:-1] = free[1:-1, 1:-1:2] = True
    return free


def cut(free, row, column):
    """The same cells without a few, so that there is more than one region to choose from."""
    free = free.copy()
    free[row, column] = False
    return free


WIDE = [
    snake(19, 100),
    comb(19, 100),
    spiral(19, 100),
    cut(snake(19, 100), 9, slice(30, 34)),
    cut(spiral(19, 100), slice(None), 64),
    cut(comb(19, 100), 1, slice(31, 66)),
    np.pad(np.ones((17, 98), bool), 1),
    np.zeros((19, 100), bool),
]
TALL = [snake(70, 40), spiral(70, 40), cut(spiral(70, 40), 35, slice(None)), comb(70, 40)]


def assert_is_the_largest(found, free):
    found = np.asarray(found)
    parts = regions(free)
    sizes = [part.sum() for part in parts]
    assert found.sum() == max(sizes, default=0)
    # Among equals any one will do.
    assert not parts or any((found == part).all() for part in parts)


@pytest.mark.parametrize("free", [*WIDE, *TALL])
def test_largest_region_of_a_maze(free):
    assert_is_the_largest(largest(free), free)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(free=arrays(bool, (6, 37), elements=st.sampled_from([True, True, False])))
def test_largest_region_of_anything(free):
    assert_is_the_largest(largest(free), free)


@pytest.mark.parametrize("share", [0.5, 0.59, 0.7])
def test_largest_region_of_random_cells(share):
    # About 0.59 of free cells is where large regions just form, and are most ragged.
    many = np.random.default_rng(0).random((8, 30, 70)) < share
    for free, found in zip(many, jax.jit(jax.vmap(largest))(many), strict=True):
        assert_is_the_largest(found, free)


# ---- goals and spawns

ROOM = TextMap(
    (
        "#" * 70,
        "#..#" + "%" * 24 + "...........#" + "." * 24 + "####.#",
        "#" + "." * 30 + "##" + "." * 32 + "#...#",
        "#" * 70,
    )
)
NUM_GOALS = 3


@pytest.fixture(scope="module")
def placed():
    """Two thousand placements on one map that is three words wide."""
    tiles = ROOM.generate(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 2000)
    levels = jax.jit(jax.vmap(lambda key: place(key, tiles, NUM_GOALS, 64)))(keys)
    return np.asarray(tiles), jax.tree.map(np.asarray, levels)


def assert_uniform(cells, tiles):
    """Every floor cell is hit about equally often, and no other cell ever is."""
    hits = np.zeros(tiles.shape, int)
    np.add.at(hits, (cells[..., 0], cells[..., 1]), 1)
    floor = tiles == Tile.FLOOR
    assert hits[~floor].sum() == 0
    expected = hits.sum() / floor.sum()
    chi_square, freedom = ((hits[floor] - expected) ** 2 / expected).sum(), floor.sum() - 1
    # Its mean is the number of degrees of freedom and its variance twice that.
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_goals_are_uniform_over_floor(placed):
    tiles, levels = placed
    for i in range(NUM_GOALS):
        assert_uniform(levels.goals[:, i], tiles)


def test_spawns_are_uniform_over_floor(placed):
    tiles, levels = placed
    # One per level: spawns of one level share its goals, so that they are not independent.
    assert_uniform(levels.spawns[:, 0], tiles)
    assert_uniform(levels.spawns[:, 63], tiles)


def test_goals_are_distinct_and_drawn_in_and_never_a_spawn(placed):
    tiles, levels = placed
    for level_tiles, goals, spawns in zip(*levels, strict=True):
        marked = {tuple(goal) for goal in goals.tolist()}
        assert len(marked) == NUM_GOALS
        expected = tiles.copy()
        for goal in marked:
            expected[goal] = Tile.GOAL
        np.testing.assert_array_equal(level_tiles, expected)
        assert (level_tiles[spawns[:, 0], spawns[:, 1]] == Tile.FLOOR).all()


def test_consecutive_spawns_are_independent(placed):
    _, levels = placed
    same = (levels.spawns[:, 1:] == levels.spawns[:, :-1]).all(axis=-1).mean()
    cells = ROOM.min_free_cells - NUM_GOALS
    spread = np.sqrt((1 / cells) * (1 - 1 / cells) / levels.spawns[:, 1:, 0].size)
    assert abs(same - 1 / cells) < 5 * spread


def test_a_text_map_marks_goals_and_spawns():
    map_ = TextMap(("#######", "#1.G.0#", "#.%#G2#", "#######"))
    assert (map_.height, map_.width, map_.min_free_cells) == (2, 5, 8)
    assert map_.goals == ((1, 3), (2, 4))
    assert map_.spawns == ((1, 5), (1, 1), (2, 5))
    tiles = map_.generate(jax.random.key(0))
    level = jax.jit(lambda key: place(key, tiles, 2, 5, map_.goals, map_.spawns))(jax.random.key(0))
    assert level.goals.tolist() == [[1, 3], [2, 4]]
    assert level.spawns.tolist() == [[1, 5], [1, 1], [2, 5], [1, 5], [1, 1]]
    assert level.tiles.tolist() == [[1] * 7, [1, 0, 0, 3, 0, 0, 1], [1, 0, 2, 1, 3, 0, 1], [1] * 7]


def test_a_goal_that_is_drawn_avoids_the_marked_spawns():
    map_ = TextMap(("#####", "#0.1#", "#####"))
    tiles = map_.generate(jax.random.key(0))
    keys = jax.random.split(jax.random.key(0), 50)
    put = jax.vmap(lambda key: place(key, tiles, 1, 4, map_.goals, map_.spawns))
    assert (np.asarray(jax.jit(put)(keys).goals) == [1, 2]).all()


# ---- caves


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, *FEW))
def test_the_ring_is_wall_and_the_rest_is_what_the_id_says(id):
    tiles = playing.levels(id, 2000).tiles
    side = gridmem.CONFIGS[id]["map"]["height"]
    assert tiles.shape[1:] == (side + 2, side + 2)
    ring = np.pad(np.zeros((side, side), bool), 1, constant_values=True)
    assert (tiles[:, ring] == Tile.WALL).all()
    inside = set(np.unique(tiles[:, ~ring]).tolist())
    assert inside == {Tile.FLOOR, Tile.GOAL, Tile.ROCK if id in DIG else Tile.WALL}


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, *FEW))
def test_no_cell_is_always_free_or_always_solid(id):
    tiles = playing.levels(id, 2000).tiles[:, 1:-1, 1:-1]
    share = np.isin(tiles, [Tile.WALL, Tile.ROCK]).mean(axis=0)
    # Measured: 0.23 to 0.41. Without lattice offsets some cells would be at 0.
    assert share.min() > 0.15
    assert share.max() < 0.5


def assert_mean(shares, published):
    # Published to two digits; beside that, five standard errors of the mean.
    assert abs(shares.mean() - published) < 0.005 + 5 * shares.std() / np.sqrt(len(shares))


def test_the_share_of_wall_in_classic_noise_is_the_published_one():
    # Before sealed pockets are filled in, for the published maps keep them.
    map_ = gridmem.make("GridMem-v0").config.map
    weights = jnp.ones(len(map_.wavelengths), jnp.int32)
    draw = lambda key: fractal_noise(key, 40, 40, map_.wavelengths, weights)  # noqa: E731
    noise = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 500))
    solid = np.asarray(noise) * np.sqrt(2) / NOISE_UNIT > map_.threshold
    assert_mean(solid.mean(axis=(1, 2)), 0.25)


@pytest.mark.parametrize("id", breadth(DIG, "GridMem-Dig-v0"))
def test_the_share_of_rock_is_the_published_one(id):
    tiles = playing.levels(id, 2000).tiles[:, 1:-1, 1:-1]
    assert_mean((tiles == Tile.ROCK).mean(axis=(1, 2)), 0.39)


@pytest.mark.parametrize(
    ("id", "num_levels"),
    breadth(
        [(id, 10_000 if id == "GridMem-v0" else 2000) for id in CLASSIC], ("GridMem-9x9-v0", 2000)
    ),
)
def test_every_free_cell_reaches_the_goal(id, num_levels):
    levels = playing.levels(id, num_levels)
    free = levels.tiles != Tile.WALL
    reached = flood(levels.tiles == Tile.GOAL, free)
    assert (reached == free).all()


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, *FEW))
def test_a_level_has_one_goal_and_spawns_on_floor(id):
    levels = playing.levels(id, 2000)
    assert levels.spawns.shape == (2000, 256, 2)
    each = np.arange(2000)
    assert ((levels.tiles == Tile.GOAL).sum(axis=(1, 2)) == 1).all()
    assert (levels.tiles[each, *levels.goals[:, 0].T] == Tile.GOAL).all()
    assert (levels.tiles[each[:, None], *np.moveaxis(levels.spawns, 2, 0)] == Tile.FLOOR).all()


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, "GridMem-9x9-v0"))
def test_maps_with_too_little_room_are_rare(id):
    map_ = gridmem.make(id).config.map
    num_maps = 20_000 if map_.width < 40 else 2_000
    keys = jax.random.split(jax.random.key(11), num_maps)

    def is_one_open_room(map_):
        draw = jax.jit(jax.vmap(map_.generate))
        return np.asarray(draw(keys)[:, 1:-1, 1:-1] == Tile.FLOOR).all(axis=(1, 2))

    # A higher threshold leaves more cells free, so that only a room that stands for a map with too
    # little of them can become a cave.
    freer = replace(map_, threshold=map_.threshold + 0.1)
    assert (is_one_open_room(map_) & ~is_one_open_room(freer)).mean() < 0.001


@pytest.mark.parametrize("id", breadth(CLASSIC, "GridMem-9x9-v0"))
def test_a_map_keeps_the_free_cells_that_it_promises(id):
    free = (playing.levels(id, 2000).tiles != Tile.WALL).sum(axis=(1, 2))
    assert free.min() >= gridmem.make(id).config.map.min_free_cells


@pytest.mark.parametrize("id", ["GridMem-v0", "GridMem-Dig-v0"])
def test_levels_can_be_smaller_and_goals_nearer(id):
    env, num_levels = gridmem.make(id), 200
    keys = jax.random.split(jax.random.key(5), num_levels)
    sides, distances = (
        np.arange(num_levels, dtype=np.int32) % 36 + 5,
        np.arange(num_levels, dtype=np.int32) % 7 + 1,
    )
    levels = jax.jit(jax.vmap(env.generate))(keys, sides, distances)
    alone = env.generate(keys[3], jnp.int32(sides[3]), jnp.int32(distances[3]))
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[3], y), levels, alone)
    tiles, steps = np.array(levels.tiles), np.array(distances)
    cell = np.arange(tiles.shape[1])
    for tiles_, side in zip(tiles, sides, strict=True):
        assert (tiles_[(cell < 1) | (cell > side)] == Tile.WALL).all()
        assert (tiles_[:, (cell < 1) | (cell > side)] == Tile.WALL).all()
        assert (tiles_ != Tile.WALL).sum() >= side**2 / 8
    passable, near = tiles != Tile.WALL, tiles == Tile.GOAL
    if id == "GridMem-v0":
        assert (flood(near, passable) == passable).all()
    each = np.arange(num_levels)[:, None]
    for step in range(1, steps.max() + 1):
        grown = near.copy()
        for axis, shift in ((1, 1), (1, -1), (2, 1), (2, -1)):
            grown |= np.roll(near, shift, axis)
        near = np.where((steps >= step)[:, None, None], grown & passable, near)
    # Where rock encloses the goal, no floor may be so near.
    is_near = near[each, *np.moveaxis(np.array(levels.spawns), 2, 0)].all(axis=1)
    any_near = (near & (tiles == Tile.FLOOR)).any(axis=(1, 2))
    np.testing.assert_array_equal(is_near, any_near)


def test_a_map_of_text_has_one_size():
    env = gridmem.make("GridMem-9x9-v0", map=TextMap(("#####", "#.G.#", "#####")))
    with pytest.raises(ValueError, match="side is of a NoiseMap, and the map is a TextMap"):
        env.generate(jax.random.key(0), jnp.int32(5))


def test_any_height_and_width():
    map_ = NoiseMap(7, 50, wavelengths=(9, 4))
    tiles = np.asarray(jax.jit(map_.generate)(jax.random.key(5)))
    assert tiles.shape == (9, 52)
    assert len(regions(tiles == Tile.FLOOR)) == 1
    assert (tiles == Tile.WALL).sum() > 2 * (9 + 52) - 4


def test_a_map_without_room_becomes_one_open_room():
    # No noise is below -1, so that everything is solid at first.
    for solid, threshold in (("wall", -9.0), ("rock", -9.0), ("wall", -1e9)):
        map_ = NoiseMap(7, 7, threshold=threshold, solid=solid)
        tiles = jax.jit(map_.generate)(jax.random.key(0))
        np.testing.assert_array_equal(tiles, np.pad(np.zeros((7, 7)), 1, constant_values=1))
