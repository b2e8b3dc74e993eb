import games
import jax
import numpy as np
import pytest
from games import DOWN, LEFT, RIGHT, UP

import gridmem
from gridmem.render.player.episode import Session

ENV = games.env_of(games.CORRIDOR)
RANDOM = np.random.default_rng(0)


def session_of(env, moves=()):
    return Session(env, games.level_of(env), [np.array([move]) for move in moves])


def wandered(env, num_steps):
    """A session after some random steps of everybody."""
    session = session_of(env)
    for _ in range(num_steps):
        session.act(RANDOM.integers(4, size=env.num_agents))
    return session


def test_an_episode_is_what_the_environment_makes_of_the_actions():
    env = games.env_of(games.ROOM, num_agents=2)
    session = wandered(env, 20)
    state, timestep = jax.jit(env.start)(session.level)
    for time in range(21):
        session.go(time)
        expected = jax.tree.leaves((state, timestep))
        for leaf, other in zip(
            jax.tree.leaves((session.state, session.timestep)), expected, strict=True
        ):
            np.testing.assert_array_equal(leaf, other)
        assert session.over == (time == 20)
        if time < 20:
            state, timestep = jax.jit(env.step)(state, session.actions[time])


def test_trips_and_finds_of_a_corridor():
    session = session_of(ENV, [RIGHT] * 3 + [LEFT, *[RIGHT] * 4] + [RIGHT] * 6 + [UP])
    session.go(99)
    assert session.time == session.last == 15
    assert session.finds(0) == [8, 14]
    assert session.trips(0) == [8, 6]
    session.go(8)
    assert (session.trips(0), session.finds(0)) == ([8], [8])
    session.go(7)
    assert session.trips(0) == []
    session.go(-3)
    assert session.time == 0


def test_steps_since_the_goal_was_in_view():
    session = session_of(ENV, [RIGHT] * 5 + [LEFT, LEFT, RIGHT])
    since = []
    for time in range(9):
        session.go(time)
        since.append(session.steps_since_goal(0))
    # The view of side 3 shows the goal in column 7 from column 6 only.
    assert since == [None] * 5 + [0, 1, 2, 3]


@pytest.mark.parametrize("view_size", [3, 5, "full"])
def test_what_was_seen_is_the_union_of_the_views(view_size):
    env = games.env_of(games.ROOM, num_agents=2, view_size=view_size)
    session = wandered(env, 12)
    half = env.view_size // 2
    seen = np.zeros((2, *session.level.tiles.shape), bool)
    for time in range(13):
        session.go(time)
        for agent, position in enumerate(np.asarray(session.state.world.position)):
            for cell in np.ndindex(seen.shape[1:]):
                seen[(agent, *cell)] |= np.abs(np.array(cell) - position).max() <= half
            np.testing.assert_array_equal(session.seen(agent), seen[agent])


def test_playing_on_from_an_earlier_step_forgets_what_followed():
    session = session_of(ENV, [RIGHT] * 8)
    session.go(3)
    session.act(np.array([LEFT]))
    other = session_of(ENV, [RIGHT, RIGHT, RIGHT, LEFT])
    other.go(4)
    assert session.last == session.time == 4
    assert session.trips(0) == other.trips(0) == []
    np.testing.assert_array_equal(session.seen(0), other.seen(0))
    assert len(session.states) == len(session.timesteps) == 5
    np.testing.assert_array_equal(session.state.world.position, other.state.world.position)


def test_at_the_end_of_an_episode_nobody_acts_any_more():
    session = session_of(ENV, [DOWN] * 20)
    session.go(20)
    assert session.over
    with pytest.raises(AssertionError, match="the episode is over"):
        session.act(np.array([UP]))


def test_a_level_of_another_environment_is_refused():
    with pytest.raises(ValueError, match="tiles have shape"):
        Session(gridmem.make("GridMem-9x9-v0"), games.level_of(ENV))
