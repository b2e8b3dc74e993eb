import games
import jax
import numpy as np
import pytest
from games import DOWN, LEFT, RIGHT, UP

import gridmem
from gridmem.render.player.episode import Episode

ENV = games.env_of(games.CORRIDOR)
RANDOM = np.random.default_rng(0)


def episode_of(env, moves=()):
    return Episode(env, games.level_of(env), [np.array([move]) for move in moves])


def random_episode(env, num_steps):
    """An episode after some random steps of all agents."""
    episode = episode_of(env)
    for _ in range(num_steps):
        episode.step(RANDOM.integers(4, size=env.num_agents))
    return episode


def test_an_episode_has_the_states_of_the_environment():
    env = games.env_of(games.ROOM, num_agents=2)
    episode = random_episode(env, 20)
    state, timestep = jax.jit(env.start)(episode.level)
    for time in range(21):
        episode.seek(time)
        expected = jax.tree.leaves((state, timestep))
        for leaf, other in zip(
            jax.tree.leaves((episode.state, episode.timestep)), expected, strict=True
        ):
            np.testing.assert_array_equal(leaf, other)
        assert episode.done == (time == 20)
        if time < 20:
            state, timestep = jax.jit(env.step)(state, episode.actions[time])


def test_finds_and_trips_of_a_corridor():
    episode = episode_of(ENV, [RIGHT] * 3 + [LEFT, *[RIGHT] * 4] + [RIGHT] * 6 + [UP])
    episode.seek(99)
    assert episode.time == episode.num_steps == 15
    assert episode.find_times(0) == [8, 14]
    assert episode.trip_steps(0) == [8, 6]
    episode.seek(8)
    assert (episode.trip_steps(0), episode.find_times(0)) == ([8], [8])
    episode.seek(7)
    assert episode.trip_steps(0) == []
    episode.seek(-3)
    assert episode.time == 0


def test_steps_since_the_goal_was_in_view():
    episode = episode_of(ENV, [RIGHT] * 5 + [LEFT, LEFT, RIGHT])
    since = []
    for time in range(9):
        episode.seek(time)
        since.append(episode.steps_since_goal(0))
    # The view of side 3 shows the goal in column 7 from column 6 only.
    assert since == [None] * 5 + [0, 1, 2, 3]


@pytest.mark.parametrize("view_size", [3, 5, "full"])
def test_the_seen_cells_are_the_union_of_the_views(view_size):
    env = games.env_of(games.ROOM, num_agents=2, view_size=view_size)
    episode = random_episode(env, 12)
    half = env.view_size // 2
    seen = np.zeros((2, *episode.level.tiles.shape), bool)
    for time in range(13):
        episode.seek(time)
        for agent, position in enumerate(np.asarray(episode.state.world.position)):
            for cell in np.ndindex(seen.shape[1:]):
                seen[(agent, *cell)] |= np.abs(np.array(cell) - position).max() <= half
            np.testing.assert_array_equal(episode.seen(agent), seen[agent])


def test_a_step_at_an_earlier_time_discards_the_later_ones():
    episode = episode_of(ENV, [RIGHT] * 8)
    episode.seek(3)
    episode.step(np.array([LEFT]))
    other = episode_of(ENV, [RIGHT, RIGHT, RIGHT, LEFT])
    other.seek(4)
    assert episode.num_steps == episode.time == 4
    assert episode.trip_steps(0) == other.trip_steps(0) == []
    np.testing.assert_array_equal(episode.seen(0), other.seen(0))
    assert len(episode.states) == len(episode.timesteps) == 5
    np.testing.assert_array_equal(episode.state.world.position, other.state.world.position)


def test_a_step_after_the_end_is_refused():
    episode = episode_of(ENV, [DOWN] * 20)
    episode.seek(20)
    assert episode.done
    with pytest.raises(AssertionError, match="the episode is over"):
        episode.step(np.array([UP]))


def test_a_level_of_another_environment_is_refused():
    with pytest.raises(ValueError, match="tiles have shape"):
        Episode(gridmem.make("GridMem-9x9-v0"), games.level_of(ENV))
