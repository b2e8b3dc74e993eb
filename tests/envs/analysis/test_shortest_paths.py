import dijkstra
import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest
from breadth import breadth
from twin import AGENT, FLOOR, GOAL, ROCK, WALL

import gridmem
from gridmem.envs.analysis.shortest_paths import (
    UNREACHABLE,
    distances,
    paths_are_fixed,
    refresh_distances,
    steps_by_move,
)

INF = UNREACHABLE
MARKS = {"#": WALL, ".": FLOOR, "%": ROCK, "G": GOAL, "A": AGENT}
JITTED = jax.jit(distances, static_argnums=1)
BATCHED = jax.jit(lambda tiles, dig: jax.vmap(lambda t: distances(t, dig))(tiles), static_argnums=1)


def tiles_of(*rows):
    return np.array([[MARKS[mark] for mark in row] for row in rows], np.uint8)


def test_permanent_walls_by_hand():
    tiles = tiles_of("######", "#G..##", "###.%#", "#...##", "##.#.#", "######")
    far = INF
    np.testing.assert_array_equal(
        JITTED(tiles, 0)[1:-1, 1:-1],
        [[0, 1, 2, far], [far, far, 3, far], [6, 5, 4, far], [far, 6, far, far]],
    )


def test_rock_costs_the_steps_that_are_lost_and_one_to_enter():
    # Digging at 2 lost steps: 4 to be in a rock cell.
    tiles = tiles_of("G%..", "%##%", ".%%.")
    np.testing.assert_array_equal(
        JITTED(tiles, 2),
        # The distance of a cell is what is left when one is in it.
        [[0, 1, 5, 6], [1, INF, INF, 7], [5, 6, 10, 11]],
    )
    np.testing.assert_array_equal(JITTED(tiles, 0), [[0, INF, INF, INF], [INF] * 4, [INF] * 4])


def test_the_nearest_of_several_goals_counts_and_none_is_far():
    tiles = tiles_of("G....G.")
    assert JITTED(tiles, 0).tolist() == [[0, 1, 2, 2, 1, 0, 1]]
    assert JITTED(tiles_of("....%.."), 5).tolist() == [[INF] * 7]


def test_the_difficulty_of_levels_is_the_mean_distance_of_their_spawns():
    caves = (["#######", "#G...0#", "#######"], ["#######", "#G.%01#", "#######"])
    levels = jax.tree.map(lambda *leaves: np.stack(leaves), *map(gridmem.make_level, caves))
    assert gridmem.difficulty(levels).tolist() == [4, np.inf]
    assert gridmem.difficulty(levels, dig_steps=5).tolist() == [4, 9.5]
    with pytest.raises(ValueError, match="the level is a str"):
        gridmem.difficulty("GridMem-v0")


@pytest.mark.parametrize("shape", [(7, 9), (4, 35), (3, 70)])
@pytest.mark.parametrize("dig_steps", [0, 1, 5])
def test_random_tiles_as_dijkstra_has_them(shape, dig_steps):
    rng = np.random.default_rng(0)
    kinds = np.array([FLOOR, ROCK, WALL, AGENT, GOAL], np.uint8)
    shares = [[0.8, 0.1, 0.08, 0.01, 0.01], [0.5, 0.3, 0.16, 0.02, 0.02], [0.3, 0.6, 0.09, 0, 0.01]]
    tiles = np.concatenate([rng.choice(kinds, (25, *shape), p=share) for share in shares])
    expected = np.stack([dijkstra.distances(one, dig_steps) for one in tiles])
    np.testing.assert_array_equal(BATCHED(tiles, dig_steps), expected)


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, "GridMem-9x9-v0", "GridMem-Dig-v0"))
def test_registered_worlds_as_dijkstra_has_them(id):
    dig_steps = gridmem.make(id).config.dig_steps
    tiles = playing.batch(id, 0)[1].tiles[:4]
    expected = np.stack([dijkstra.distances(one, dig_steps) for one in tiles])
    np.testing.assert_array_equal(BATCHED(tiles, dig_steps), expected)
    assert ((expected < INF) == (tiles != WALL)).all()


def test_steps_by_move_by_hand():
    tiles = tiles_of("#####", "#.%.#", "#.#G#", "#####")
    distance = JITTED(tiles, 3)
    at = jnp.array([[1, 1], [1, 3], [2, 3]], jnp.int32)
    expected = [
        [INF, 5 + 2, 1 + 8, INF],  # right through the rock, or a step down and back
        [INF, INF, 1, 5 + 2],
        [1 + 1, INF, INF, INF],  # who stands on the goal must leave it first
    ]
    np.testing.assert_array_equal(steps_by_move(jnp.asarray(tiles), distance, at, 3), expected)
    # Once the rock is dug, distances of before still lead through it.
    tiles[1, 2] = FLOOR
    assert steps_by_move(jnp.asarray(tiles), distance, at, 3)[0].tolist() == [INF, 3, 9, INF]


def test_only_the_marked_distances_are_renewed_and_only_where_paths_change():
    stacked = playing.batch("GridMem-9x9-v0", 0)[1]
    tiles = jnp.asarray(stacked.tiles[:6])
    old = jnp.full(tiles.shape, -1, jnp.int32)
    mask = jnp.array([0, 1, 1, 1, 0, 1], bool)
    moving = gridmem.make("GridMem-9x9-v0", goal_moves=True)
    new = np.asarray(jax.jit(lambda *batch: refresh_distances(moving, *batch))(mask, old, tiles))
    np.testing.assert_array_equal(new[~mask], -1)
    np.testing.assert_array_equal(new[mask], np.asarray(BATCHED(tiles, 0))[mask])
    assert refresh_distances(gridmem.make("GridMem-9x9-v0"), mask, old, tiles) is old


@pytest.mark.parametrize(
    ("fixed", "options"),
    [
        (True, {}),
        (True, {"num_goals": 2, "num_agents": 3}),
        (False, {"goal_moves": True}),
        (False, {"dig_steps": 1}),
        (False, {"task": {"type": "Tour"}}),
    ],
)
def test_when_paths_are_fixed(fixed, options):
    assert paths_are_fixed(gridmem.make("GridMem-9x9-v0", **options)) == fixed
