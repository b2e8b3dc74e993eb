from functools import partial
from itertools import pairwise

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from playing import generate_many, play, start

import gridmem
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.seeding import level_key, seed_key
from gridmem.envs.environment import Environment, check_environment
from gridmem.envs.external.pendulum import PendulumState

ID = "Pendulum-v1"
TOLERANCE = 2e-5  # of a step in float32
close = partial(np.testing.assert_allclose, rtol=0, atol=TOLERANCE)
hidden = pytest.mark.parametrize("hide", [None, "velocity", "position"])


def states(number, rng):
    """Any states, some of them hanging straight down, where the angle jumps."""
    angle = rng.uniform(-np.pi, np.pi, number)
    angle[::5] = np.sign(angle[::5]) * (np.pi - rng.uniform(0, 1e-3, len(angle[::5])))
    velocity = rng.uniform(-8, 8, number)
    fields = jnp.float32(angle), jnp.float32(velocity), jnp.zeros(number), jnp.zeros(number, int)
    return PendulumState(*fields)


def test_a_step_is_that_of_gymnasium_from_the_same_state():
    env, rng, number = gridmem.make(ID), np.random.default_rng(0), 2000
    state, actions = states(number, rng), np.float32(rng.uniform(-3, 3, (number, 1, 1)))
    following, timestep = jax.jit(jax.vmap(env.step))(state, actions)
    upstream, expected = gymnasium.make(ID).unwrapped, []
    upstream.reset(seed=0)
    starts = np.stack([state.angle, state.velocity], axis=1).astype(np.float64)
    for upstream.state, action in zip(starts, actions, strict=True):
        obs, reward, terminated, truncated, _ = upstream.step(action[0])
        expected.append([*obs, reward])
        assert not terminated
        assert not truncated
    expected = np.array(expected)
    close(timestep.obs.observation[:, 0], expected[:, :3])
    close(timestep.reward[:, 0], expected[:, 3])
    close(timestep.obs.last_reward[:, 0], expected[:, 3])
    np.testing.assert_array_equal(timestep.obs.last_action, actions.clip(-2, 2))
    assert np.abs(following.angle).max() <= np.float32(np.pi)
    assert (np.abs(following.velocity) == 8).any()
    assert not timestep.done.any()


def test_the_first_observation_is_of_the_level():
    env = gridmem.make(ID)
    _, timestep = start(env, jnp.array([0.5, -0.25]))
    np.testing.assert_allclose(
        timestep.obs.observation, [[np.cos(0.5), np.sin(0.5), -0.25]], rtol=1e-6
    )
    assert timestep.obs.last_action.tolist() == [[0]]
    assert (timestep.reward.tolist(), timestep.obs.last_reward.tolist()) == ([0], [0])
    assert (timestep.done.tolist(), timestep.time.tolist()) == ([False], [0])


def test_levels_are_drawn_as_gymnasium_draws_starts():
    env = gridmem.make(ID)
    levels = generate_many(env, jax.random.split(jax.random.key(0), 4000))
    upstream = gymnasium.make(ID).unwrapped
    starts = np.array([(upstream.reset(seed=seed), upstream.state)[1] for seed in range(2000)])
    for each in (np.asarray(levels), starts):
        assert (np.abs(each) <= [np.pi, 1]).all()
        quartiles = np.quantile(each / [np.pi, 1], [0.25, 0.5, 0.75], axis=0)
        np.testing.assert_allclose(quartiles, [[-0.5] * 2, [0] * 2, [0.5] * 2], atol=0.07)


def test_evaluation_levels_are_fixed_and_not_those_of_a_seed():
    env = gridmem.make(ID)
    levels = np.asarray(env.evaluation_levels(40))
    np.testing.assert_array_equal(levels, env.evaluation_levels(40))
    assert levels.shape == (40, 2)
    drawn = generate_many(env, jax.random.split(jax.random.key(0), 40))
    assert not np.isin(levels, drawn).any()


def test_the_clock_truncates_and_nothing_terminates():
    env = gridmem.make(ID)
    _, (_, timestep) = play(env, jnp.zeros(2), jnp.ones((201, 1, 1)))
    assert not timestep.terminated.any()
    assert timestep.truncated[:, 0].tolist() == [False] * 199 + [True] * 2
    assert timestep.time[:, 0].tolist() == list(range(1, 202))
    assert (env.max_steps, env.mean_steps) == (200, 200)
    assert gridmem.make(ID, max_steps=7).mean_steps == 7


@hidden
def test_what_is_hidden_is_not_observed_and_all_else_stays(hide):
    env, full = gridmem.make(ID, hide=hide), gridmem.make(ID)
    columns = {None: [0, 1, 2], "velocity": [0, 1], "position": [2]}[hide]
    assert env.parts == (gridmem.Numbers("observation", (len(columns),)),)
    level, actions = jnp.array([2.0, 0.5]), jnp.ones((3, 1, 1))
    (_, first), (state, later) = play(env, level, actions)
    (_, first_of_full), (state_of_full, of_full) = play(full, level, actions)
    for one, other in ((first, first_of_full), (later, of_full)):
        close(one.obs.observation, other.obs.observation[..., columns])
        close(one.reward, other.reward)
    jax.tree.map(close, state, state_of_full)
    assert (f"{hide} hidden" in env.about) == (hide is not None)


def test_the_protocol_is_kept():
    env = gridmem.make(ID)
    assert isinstance(env, Environment)
    assert check_environment(ID, env) is env
    assert (env.num_agents, env.actions) == (1, gridmem.Box((-2.0,), (2.0,)))
    assert env.stats == gridmem.Returns()
    assert env == gridmem.make(ID, max_steps=200) != gridmem.make(ID, hide="velocity")
    assert hash(env) == hash(gridmem.make(ID))


def test_a_step_keeps_all_types_and_none_is_weak():
    env = gridmem.make(ID)
    first = jax.eval_shape(env.start, jax.ShapeDtypeStruct((2,), jnp.float32))
    following = jax.eval_shape(env.step, first[0], jax.ShapeDtypeStruct((1, 1), jnp.float32))
    for one, other in zip(*map(jax.tree.leaves, (first, following)), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert not one.weak_type
        assert not other.weak_type


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hide": "speed"}, "hide is 'speed'; it must be 'velocity', 'position' or nothing"),
        ({"max_steps": 0}, "max_steps is 0; it must be a whole number, 1 or more"),
        ({"g": 9.81}, "no option 'g'; it has hide, max_steps"),
    ],
)
def test_invalid_options_are_rejected(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        gridmem.make(ID, **options)


def test_a_frame_shows_the_rod_and_the_torque():
    env = gridmem.make(ID)
    at = [(0, 0), (np.pi / 2, 0), (np.pi / 2, 2), (np.pi / 2, -1)]
    top, left, pulled, pushed = (
        env.frame(PendulumState(*map(jnp.float32, pair), jnp.float32(torque), jnp.int32(0)))
        for angle, torque in at
        for pair in [(angle, 0)]
    )
    assert top.dtype == np.uint8
    height, width, colours = top.shape
    assert (height % 2, width % 2, colours) == (0, 0, 3)
    red = [
        np.argwhere((each[..., 0] > 180) & (each[..., 1] < 120)).mean(axis=0) / (height, width)
        for each in (top, left)
    ]
    np.testing.assert_allclose(red, [[0.15, 0.5], [0.5, 0.15]], atol=0.01)
    half = width // 2 - 5
    changed = [(each != left).any(axis=-1) for each in (pulled, pushed)]
    assert changed[0][:, :half].sum() > 5 * changed[0][:, -half:].sum()
    assert changed[1][:, -half:].sum() > 5 * changed[1][:, :half].sum()
    assert changed[0].sum() > changed[1].sum()


@pytest.mark.slow
def test_a_video_has_a_picture_of_each_step():
    from gridmem.baselines.evaluation.rollouts import Player, frames

    env = gridmem.make(ID, max_steps=4)
    player, key = Player(), jax.random.key(0)
    pictures = list(frames(env, player, (), env.evaluation_levels(1), key))
    assert len(pictures) == 5
    assert all((one != other).any() for one, other in pairwise(pictures))


@pytest.mark.slow
def test_a_batch_begins_fresh_levels_where_episodes_end():
    env = gridmem.make(ID, max_steps=3)
    batch, seeds = VectorEnv(env, 2), jnp.asarray([seed_key(seed) for seed in range(2)])
    state, timestep = jax.jit(batch.reset)(seeds)
    advance = jax.jit(batch.step)
    for episode in range(3):
        keys = jax.vmap(level_key)(seeds, jnp.full(2, episode, jnp.uint32))
        for n, key in enumerate(keys):
            _, first = start(env, env.generate(key))
            np.testing.assert_allclose(timestep.obs.observation[n], first.obs.observation[0])
        for _ in range(3):
            assert not timestep.done.any()
            state, timestep = advance(state, jnp.ones((2, 1)))
        assert timestep.truncated.all()
        state, timestep = advance(state, jnp.ones((2, 1)))


@pytest.mark.slow
def test_the_return_of_random_actions():
    env = gridmem.make(ID)
    levels = generate_many(env, jax.random.split(jax.random.key(0), 4000))
    policy = gridmem.random_policy(env.actions)
    rollout = jax.jit(lambda key: gridmem.play(env, policy, levels, key).rollout)
    metrics = env.stats.whole(rollout(jax.random.key(1)))
    assert int(metrics["num_episodes"]) == 4000
    assert float(metrics["episode_length"]) == 200
    assert abs(float(metrics["episode_return"]) + 1227) < 20
