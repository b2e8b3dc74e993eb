from functools import partial

import jax
import numpy as np
import pytest
from scenes import a_state, a_trip

from gridmem import Env, EnvConfig, TextMap
from gridmem.render.draw import draw
from gridmem.render.heatmap import tint
from gridmem.render.paint import ACCENT, BAR, EDGE, MUTED
from gridmem.render.sprites import AGENTS, FLOOR
from gridmem.render.trip_figure import BEGIN, END, draw_trip, episode_picture, trip_colour

RIGHT, DOWN, LEFT = 1, 2, 3
FLOOR_PIXEL = np.full((1, 1, 3), FLOOR, np.uint8)


@partial(jax.jit, static_argnums=0)
def generate(env):
    return env.generate(jax.random.key(0))


def corridor(max_steps, num_agents=1):
    """One in which an agent finds the goal by two steps to the right, each time."""
    env = Env(
        EnvConfig(
            map=TextMap(("######", "#0.G.#", "######")),
            view_size=3,
            max_steps=max_steps,
            num_agents=num_agents,
        )
    )
    level = generate(env)
    return env, level._replace(spawns=np.full_like(level.spawns, 1))


@pytest.mark.parametrize("px", [5, 16, 24])
def test_a_path_is_drawn_on_its_cells_only(px):
    trip, seen = a_trip(), np.ones(a_trip().tiles.shape, bool)
    picture, bare = draw_trip(trip, seen, px), draw(trip.tiles % 3, np.zeros((0, 2), int), px)
    changed = (picture != bare).any(axis=-1)
    if px > 5:  # where marks are no larger than cells
        cells = changed.reshape(7, px, 13, px).any(axis=(1, 3))
        np.testing.assert_array_equal(np.argwhere(cells), np.unique(trip.cells, axis=0))
    # Where the path crosses itself the later part is shown. Two segments meet at a centre.
    last_time = {tuple(cell): time for time, cell in enumerate(trip.cells.tolist())}
    for (row, column), time in last_time.items():
        if 3 <= time < trip.steps - 2:
            shown = picture[row * px + px // 2, column * px + px // 2]
            segments = [trip_colour(t / (trip.steps - 1)) for t in (time - 1, time)]
            assert tuple(shown.tolist()) in segments


def test_a_path_brightens_from_begin_to_end():
    assert trip_colour(0.0) == BEGIN
    assert trip_colour(1.0) == END
    light = [
        np.dot(trip_colour(share), [0.2126, 0.7152, 0.0722]) for share in np.linspace(0, 1, 33)
    ]
    assert (np.diff(light) > 0).all()


@pytest.mark.parametrize("agent", [0, 4, 9])
def test_a_trip_shows_the_agent_the_goal_and_fog(agent):
    trip, seen = a_trip(), a_state().seen
    picture = draw_trip(trip, seen, 16, agent)
    (row, column), goal = trip.cells[0] * 16, trip.cells[-1] * 16
    here = np.abs(picture[row : row + 16, column : column + 16].astype(int) - AGENTS[agent % 6])
    assert (here.sum(axis=-1) < 30).mean() > 0.05
    gold = np.abs(picture[goal[0] :, goal[1] :][:16, :16].astype(int) - (230, 159, 0)).sum(axis=-1)
    assert (gold < 30).mean() > 0.05
    lit, dim = picture[3 * 16 + 8, 4 * 16 + 8], picture[3 * 16 + 8, 1 * 16 + 8]
    assert lit.sum() > 600
    assert dim.sum() < 400


def bars(picture, colour):
    """Heights of the bars of one colour at the foot of a picture, from left to right."""
    chart = picture[-32 - 150 + 20 : -32]
    columns = (chart == colour).all(axis=-1).sum(axis=0)
    starts = np.flatnonzero((columns[1:] > 2) & (columns[:-1] <= 2)) + 2
    return columns[starts].tolist()


def test_the_bars_show_steps_and_shortest_paths():
    env, level = corridor(12)
    # Two steps, then eight, then two without a find. Agents land at (1, 1).
    moves = [RIGHT, RIGHT, LEFT, LEFT, DOWN, DOWN, DOWN, DOWN, RIGHT, RIGHT, RIGHT, LEFT]
    picture = episode_picture(env, level, np.array(moves)[:, None])
    per_step = (150 - 22 - 52) / 8
    blue, gold = bars(picture, BAR), bars(picture, ACCENT)
    # The first bar is gold all over, as no step was wasted.
    np.testing.assert_allclose(blue, [6 * per_step], atol=2)
    np.testing.assert_allclose(gold, [2 * per_step] * 2, atol=2)
    # The ground line is two pixels high and has the colour of a trip without a find.
    np.testing.assert_allclose(bars(picture, EDGE), [2 * per_step + 2], atol=2)


@pytest.mark.parametrize(
    ("finds", "columns", "rows"), [(1, 2, 1), (3, 3, 1), (5, 4, 2), (20, 4, 2)]
)
def test_up_to_eight_trips_have_a_map(finds, columns, rows):
    env, level = corridor(40)
    picture = episode_picture(env, level, np.full((2 * finds, 1), RIGHT))
    # 192 x 96 pixels a cave, its caption 320 wide, and what stands around them.
    assert picture.shape == (32 + 56 + rows * (96 + 30 + 28) + 150 + 32, 64 - 28 + columns * 348, 3)


def test_a_map_is_lit_where_the_agent_had_seen_it():
    env, level = corridor(12)
    picture = episode_picture(env, level, np.full((3, 1), RIGHT))
    first = picture[88 + 30 :, 32 + 64 :][32:64]  # the middle row of cells, in 320 pixels for 192
    # From (1, 2) the next cell is seen; the goal itself is entered, but nothing is seen from there.
    lit = [first[29, column * 32 + 20].sum() > 500 for column in (2, 3, 4)]
    assert lit == [True, True, False]
    # What an earlier trip has seen stays lit: this agent comes from the other side first.
    spawns = np.array(level.spawns)
    spawns[0] = 1, 4
    moves = np.array([LEFT, RIGHT, RIGHT])[:, None]
    picture = episode_picture(env, level._replace(spawns=spawns), moves)
    first, second = (picture[88 + 30 :, left + 64 :][32:64] for left in (32, 32 + 348))
    assert first[29, 2 * 32 + 20].sum() < 500 < second[29, 2 * 32 + 20].sum()
    assert second[29, 4 * 32 + 20].sum() > 500


def test_the_last_trips_are_shown_too():
    env, level = corridor(40)
    moves = np.full((40, 1), RIGHT)
    plain = episode_picture(env, level, moves)
    moves[[32, 34]] = LEFT  # one of the last trips is longer, and there are 19 now
    other = episode_picture(env, level, moves)
    top = 32 + 56 + 96 + 30
    np.testing.assert_array_equal(plain[88:top], other[88:top])
    assert (plain[top : top + 150] != other[top : top + 150]).any()


@pytest.mark.parametrize(("finds", "marked"), [(8, False), (9, True), (20, True)])
def test_trips_without_a_map_are_named_between_the_rows(finds, marked):
    env, level = corridor(40)
    picture = episode_picture(env, level, np.full((2 * finds, 1), RIGHT))
    gap = picture[88 + 30 + 96 :][:28]
    assert (gap == MUTED).all(axis=-1).any() == marked


def colour_blind(colour, kind):
    """How red-blind or green-blind people see it (Vienot 1999), in linear light."""
    linear = (np.array(colour) / 255) ** 2.2
    red, green, blue = linear
    yellow = 0.11 * red + 0.89 * green if kind == "red" else 0.29 * red + 0.71 * green
    return np.array(linear if kind == "none" else (yellow, yellow, blue)) ** (1 / 2.2)


@pytest.mark.parametrize("kind", ["none", "red", "green"])
def test_path_and_heat_differ_for_all_kinds_of_colour_vision(kind):
    path = [colour_blind(trip_colour(share), kind) for share in np.linspace(0, 1, 33)]
    floor = np.full((1, 33, 3), FLOOR, np.uint8)
    hot = tint(floor, floor, np.linspace(0, 1, 33, dtype=np.float32)[None], 1)[0]
    hot = [colour_blind(colour, kind) for colour in hot]
    distance = min(np.abs(one - other).max() for one in path for other in hot)
    assert distance > 0.15


def test_an_agent_without_a_find():
    env, level = corridor(12)
    picture = episode_picture(env, level, np.full((12, 1), LEFT))
    assert not bars(picture, ACCENT)
    assert not bars(picture, BAR)
    assert len(bars(picture, EDGE)) == 1


def test_a_picture_is_deterministic_and_changes_nothing():
    env, level = corridor(12, num_agents=2)
    level = jax.tree.map(np.asarray, level)
    actions = np.random.default_rng(0).integers(0, 4, (12, 2))
    before = jax.tree.map(np.copy, (level, actions))
    pictures = [episode_picture(env, level, actions, agent) for agent in (0, 1, 0)]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()
    for leaf, same in zip(jax.tree.leaves((level, actions)), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(leaf, same)


def test_a_title():
    env, level = corridor(12)
    actions = np.full((12, 1), RIGHT)
    plain, titled = (episode_picture(env, level, actions, title=t) for t in ("", "Memory"))
    assert (plain[:80] != titled[:80]).any()
    np.testing.assert_array_equal(plain[80:], titled[80:])


def test_attention_is_drawn_on_the_cells_of_earlier_trips():
    env, level = corridor(12)
    # Two finds, the first after a bump: from (1, 1), (1, 1), (1, 2); (1, 1), (1, 2); (1, 1).
    actions = np.array([LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT])[:, None]
    attention = np.zeros((6, 13), np.float32)
    attention[1, 0] = 1  # on the first trip to that trip
    attention[3, 2], attention[4, 0] = 0.5, 0.25  # on the second to (1, 2), then to (1, 1)
    attention[4, 3] = 0.75  # and to itself
    attention[5, [0, 1, 2, 4]] = 0.25, 0.125, 0.375, 0.25  # to (1, 1) twice and (1, 2) twice
    plain = episode_picture(env, level, actions)
    picture = episode_picture(env, level, actions, attention=attention)
    assert picture.shape == plain.shape
    tops = [88 + 30 + 32 * row + 2 for row in range(3)]  # clear of path and agent
    lefts = [32 + 64 + 348 * trip for trip in range(3)]
    for trip, hot in enumerate([{}, {(1, 2): 1, (1, 1): 0.5}, {(1, 2): 1, (1, 1): 0.6}]):
        for row, column in np.ndindex(3, 6):
            at = tops[row], lefts[trip] + 32 * column + 3
            heat = np.full((1, 1), hot.get((row, column), 0), np.float32)
            expected = tint(plain[at][None, None], plain[at][None, None], heat, 1)
            np.testing.assert_array_equal(picture[at], expected[0, 0])
    legend = picture[88 + 154 :][:24, -300:]  # from the colour of floor to the hottest
    for heat in np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32):
        colour = tint(FLOOR_PIXEL, FLOOR_PIXEL, heat, 1)
        assert (legend == colour).all(axis=-1).sum() == 12 * 12
        assert not (plain[88 + 154 :] == colour).all(axis=-1)[:24, -300:].any()
