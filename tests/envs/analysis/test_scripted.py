import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest
from breadth import breadth
from twin import AGENT, FLOOR, GOAL, ROCK, WALL

import gridmem
from gridmem.envs.analysis.metrics import measure
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.analysis.scripted import compass_policy, reactive_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.types import Observation, TimeStep

UP, RIGHT, DOWN, LEFT, NONE = range(5)
MARKS = {"#": WALL, ".": FLOOR, "%": ROCK, "G": GOAL, "@": AGENT}
B = 600
OPEN = ".....", ".....", "..@..", ".....", "....."


def shares(policy, picture, last_action, compass=()):
    """How often each move is taken by B streams that see the same."""
    view = jnp.array([[MARKS[mark] for mark in row] for row in picture], jnp.uint8)
    zeros = jnp.zeros(B, jnp.int32)
    obs = Observation(
        jnp.broadcast_to(view, (B, *view.shape)),
        zeros + last_action,
        jnp.zeros(B),
        jnp.broadcast_to(jnp.array(compass, jnp.float32), (B, len(compass))),
    )
    none = jnp.zeros(B, bool)
    timestep = TimeStep(obs, obs.last_reward, none, none, zeros)
    carry, action, extras = jax.jit(policy.act)((), timestep, jax.random.key(0))
    assert (carry, extras, action.dtype) == ((), (), jnp.int32)
    return np.bincount(action, minlength=4) / B


def assert_takes(moves, *args, **options):
    """All of these moves and no others, equally often."""
    taken = shares(*args, **options)
    expected = np.array([move in moves for move in range(4)]) / len(moves)
    assert taken == pytest.approx(expected, abs=0.1 if len(moves) > 1 else 0)


WALLS = reactive_policy(gridmem.make("GridMem-v0"))
DIGS = reactive_policy(gridmem.make("GridMem-Dig-v0"))  # 7 steps for a rock
CLOSED = "#####", "#####", "##@##", "#####", "#####"
CORRIDOR = "#####", "#####", "..@..", "#####", "#####"
DEAD_END = "#####", "#####", "..@##", "#####", "#####"
CORNER = "##.##", "##.##", "..@##", "#####", "#####"
CROSSING = "##.##", "##.##", "..@##", "##.##", "##.##"


@pytest.mark.parametrize(
    ("picture", "last_action", "moves"),
    [
        (OPEN, RIGHT, [RIGHT]),
        (OPEN, UP, [UP]),
        (OPEN, NONE, [UP, RIGHT, DOWN, LEFT]),
        (CORRIDOR, LEFT, [LEFT]),
        (CORRIDOR, UP, [LEFT, RIGHT]),
        (CORRIDOR, NONE, [LEFT, RIGHT]),
        (DEAD_END, RIGHT, [LEFT]),
        (CORNER, RIGHT, [UP]),
        (CORNER, DOWN, [LEFT]),
        (CORNER, LEFT, [LEFT]),
        (CROSSING, RIGHT, [UP, DOWN]),
        (CLOSED, RIGHT, [UP, RIGHT, DOWN, LEFT]),
        (CLOSED, NONE, [UP, RIGHT, DOWN, LEFT]),
    ],
)
@pytest.mark.parametrize("policy", [WALLS, DIGS])
def test_without_a_goal_in_view_straight_on(policy, picture, last_action, moves):
    assert_takes(moves, policy, picture, last_action)


def test_agents_and_rock_ahead():
    agent = [row.replace("@.", "@@") for row in CORRIDOR]
    assert_takes([RIGHT], WALLS, agent, RIGHT)
    rock = [row.replace("@.", "@%") for row in CORRIDOR]
    assert_takes([LEFT], WALLS, rock, RIGHT)
    assert_takes([RIGHT], DIGS, rock, RIGHT)  # rather than back
    assert_takes([UP, DOWN], DIGS, [row.replace("@#", "@%") for row in CROSSING], RIGHT)
    assert_takes([LEFT], DIGS, rock, UP)  # what is not ahead is not dug


@pytest.mark.parametrize(
    ("picture", "moves", "digging"),
    [
        (("....G", ".....", "..@..", ".....", "....."), [UP], [UP]),  # the lower id
        ((".....", ".....", "..@..", ".....", "..G.."), [DOWN], [DOWN]),
        ((".....", ".....", "G.@.G", ".....", "....."), [RIGHT], [RIGHT]),
        ((".....", ".G#..", "..@..", ".....", "....."), [LEFT], [LEFT]),
        # Round the wall: 5 steps by the right; by the left there is no way.
        (("#G...", "###..", "..@..", ".....", "....."), [RIGHT], [RIGHT]),
        # It can be seen, not reached: straight on, which is to the left.
        (("#G#..", "###..", "..@..", ".....", "....."), [LEFT], [LEFT]),
        # Through the rock 8 steps, round it 4; in the second there is no way round.
        ((".....", ".....", "..@%G", ".....", "....."), [UP], [UP]),
        (("#####", "#####", "..@%G", "#####", "....."), [LEFT], [RIGHT]),
        # An agent stands in the way, and does not matter.
        (("#####", "#####", "..@@G", "#####", "#####"), [RIGHT], [RIGHT]),
    ],
)
def test_a_goal_in_view(picture, moves, digging):
    assert_takes(moves, WALLS, picture, LEFT)
    assert_takes(digging, DIGS, picture, LEFT)


def test_streams_are_independent():
    """Goals in view of some, in more than one group, and other views beside."""
    sides = [(UP, 0, 2), (RIGHT, 2, 4), (DOWN, 4, 2), (LEFT, 2, 0), (RIGHT, 0, 0)]
    views = np.zeros((B, 5, 5), np.uint8)
    views[:, 2, 2] = AGENT
    kind = np.random.default_rng(0).integers(0, 5, B)
    for number, (_, row, column) in enumerate(sides[:4]):
        views[kind == number, row, column] = GOAL
    obs = Observation(
        jnp.asarray(views), jnp.full(B, RIGHT, jnp.int32), jnp.zeros(B), jnp.zeros((B, 0))
    )
    none = jnp.zeros(B, bool)
    timestep = TimeStep(obs, obs.last_reward, none, none, obs.last_action)
    action = WALLS.act((), timestep, jax.random.key(1)).action
    assert action.tolist() == [sides[number][0] for number in kind]


COMPASS = compass_policy(gridmem.make("GridMem-v0", compass=True))
DIGGING_COMPASS = compass_policy(gridmem.make("GridMem-Dig-v0", compass=True))


@pytest.mark.parametrize(
    ("picture", "last_action", "compass", "moves"),
    [
        (OPEN, NONE, (-0.5, 0.2), [UP]),
        (OPEN, NONE, (0.2, -0.5), [LEFT]),
        (OPEN, NONE, (0.2, 0.196), [DOWN]),
        (OPEN, NONE, (0.3, 0.3), [RIGHT, DOWN]),
        (OPEN, NONE, (0.0, 0.3), [RIGHT]),
        (OPEN, NONE, (0.0, 0.0), [UP, RIGHT, DOWN, LEFT]),
        (OPEN, LEFT, (0.2, 0.5), [DOWN]),  # not back
        (OPEN, LEFT, (0.0, 0.5), [UP, LEFT, DOWN]),
        (CORRIDOR, RIGHT, (0.9, 0.1), [RIGHT]),  # the larger one is blocked
        (CORRIDOR, RIGHT, (0.9, 0.0), [RIGHT]),
        (CORRIDOR, NONE, (0.9, 0.0), [LEFT, RIGHT]),
        (DEAD_END, RIGHT, (0.0, 0.3), [LEFT]),  # it must
        (("....G", ".....", "..@..", ".....", "....."), LEFT, (-0.1, 0.1), [UP]),
        (CLOSED, LEFT, (0.1, 0.1), [UP, RIGHT, DOWN, LEFT]),
    ],
)
def test_along_the_compass(picture, last_action, compass, moves):
    for policy in (COMPASS, DIGGING_COMPASS):
        assert_takes(moves, policy, picture, last_action, compass)


def test_the_compass_leads_through_rock_where_no_open_way_is_nearer():
    rock = [row.replace("@.", "@%") for row in OPEN]
    assert_takes([RIGHT], DIGGING_COMPASS, rock, RIGHT, (0.0, 0.5))
    assert_takes([DOWN], DIGGING_COMPASS, rock, RIGHT, (0.1, 0.5))
    assert_takes([UP, DOWN], COMPASS, rock, RIGHT, (0.0, 0.5))


def test_a_compass_is_needed():
    with pytest.raises(ValueError, match="has no compass; make it with compass=True"):
        compass_policy(gridmem.make("GridMem-v0"))


def episodes(env, policy, count=30):
    """Levels, and the policy's actions [N, T, A] on them."""
    levels = playing.generate_many(env, jax.random.split(jax.random.key(2), count))
    played = jax.jit(lambda levels, key: play(env, policy, levels, key).rollout.action)
    actions = played(levels, jax.random.key(0))
    return levels, np.asarray(actions).reshape(env.max_steps, count, -1).swapaxes(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "options"),
    breadth(
        [
            ("GridMem-9x9-v0", {}),
            ("GridMem-9x9-v0", {"goal_moves": True}),
            ("GridMem-Dig-v0", {"height": 9, "width": 10, "max_steps": 90}),
        ],
        ("GridMem-9x9-v0", {}),
    ),
)
def test_who_sees_the_whole_map_walks_like_the_oracle(id, options):
    env = gridmem.make(id, view_size="full", **options)
    levels, actions = episodes(env, reactive_policy(env))
    np.testing.assert_array_equal(actions, oracle_actions(env, levels))


@pytest.mark.slow
def test_returns_are_ordered_by_what_is_seen():
    returns = []
    for view_size in (3, 7):
        env = gridmem.make("GridMem-13x13-v0", view_size=view_size, num_agents=2)
        metrics = measure(env, *episodes(env, reactive_policy(env), 100))
        returns.append(float(metrics.episode_return.mean()))
        assert not np.asarray(metrics.bumps).any()
    assert 0.5 < returns[0] < returns[1] - 1
    env = gridmem.make("GridMem-13x13-v0", view_size=3, num_agents=2, compass=True)
    metrics = measure(env, *episodes(env, compass_policy(env), 100))
    assert float(metrics.episode_return.mean()) > 2 * returns[0]
