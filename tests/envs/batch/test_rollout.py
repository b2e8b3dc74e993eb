from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest

from gridmem import Env, EnvConfig, Return, TextMap
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.policy import Policy, PolicyOutput, random_policy
from gridmem.envs.batch.rollout import RunnerState, flatten, play, unroll

N, A, STEPS = 3, 2, 12


@pytest.fixture(scope="module")
def env():
    hall = TextMap(("########", "#......#", "#.##.#.#", "#...#..#", "########"))
    return Env(EnvConfig(map=hall, num_agents=A, max_steps=STEPS))


@pytest.fixture(scope="module")
def levels(env):
    return playing.generate_many(env, jax.random.split(jax.random.key(0), N))


def diary(batch):
    """A memory of what was seen: [B, room] sums of the views, with room for no step yet."""
    return jnp.zeros((batch, 0), jnp.int32)


def longer(seen, length):
    return jnp.pad(seen, ((0, 0), (0, length - seen.shape[1])))


def act_on_all_that_was_seen(seen, timestep, key):
    """An action that the whole past has a say in, and the key too."""
    time = timestep.time[0]
    now = jnp.sum(timestep.obs.view, axis=(1, 2), dtype=jnp.int32)
    seen = seen.at[:, time].set(now)
    weight = jnp.arange(1, seen.shape[1] + 1)[None, :]
    drawn = jax.random.randint(key, now.shape, 0, 3, jnp.int32)
    action = (jnp.sum(seen * weight, axis=1) + drawn) % 4
    return PolicyOutput(seen, action, {"drawn": drawn, "time": timestep.time})


DIARIST = Policy(init=diary, act=act_on_all_that_was_seen, grow=longer)


@partial(jax.jit, static_argnums=(0, 3))
def played(env, levels, key, chunk_steps):
    return play(env, DIARIST, levels, key, chunk_steps)


def assert_same(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_play_equals_stepping_by_hand(env, levels):
    unrolled = played(env, levels, jax.random.key(1), 64)
    rollout = unrolled.rollout
    keys = jax.random.split(jax.random.key(1), STEPS)
    worlds = [playing.start(env, playing.level_at(levels, n)) for n in range(N)]
    act = jax.jit(act_on_all_that_was_seen)
    seen = longer(diary(N * A), STEPS)
    for step in range(STEPS):
        # Stream n * A + a is agent a of environment n.
        timestep = jax.tree.map(lambda *x: jnp.concatenate(x), *(ts for _, ts in worlds))
        seen, action, extras = act(seen, timestep, keys[step])
        worlds = [
            playing.step(env, state, action[n * A : (n + 1) * A])
            for n, (state, _) in enumerate(worlds)
        ]
        following = jax.tree.map(lambda *x: jnp.concatenate(x), *(ts for _, ts in worlds))
        assert_same(jax.tree.map(lambda x, t=step: x[t], rollout.obs), timestep.obs)
        assert_same(rollout.action[step], action)
        assert_same(jax.tree.map(lambda x, t=step: x[t], rollout.extras), extras)
        for name in ("reward", "terminated", "truncated"):
            assert_same(getattr(rollout, name)[step], getattr(following, name))
    assert_same(unrolled.timestep, following)
    assert_same(unrolled.state, jax.tree.map(lambda *x: jnp.stack(x), *(s for s, _ in worlds)))
    assert_same(unrolled.carry, seen)


@pytest.mark.parametrize("chunk_steps", [3, 64])
def test_chunks_change_nothing(env, levels, chunk_steps):
    by_fives = played(env, levels, jax.random.key(1), 5)
    assert_same(played(env, levels, jax.random.key(1), chunk_steps), by_fives)
    assert by_fives.carry.shape == (N * A, STEPS)


def test_a_rollout_is_a_whole_episode(env, levels):
    unrolled = played(env, levels, jax.random.key(1), 5)
    rollout = unrolled.rollout
    assert rollout.reward.shape == (STEPS, N * A)
    assert rollout.obs.view.shape == (STEPS, N * A, 5, 5)
    assert (rollout.obs.last_action[0] == 4).all()
    np.testing.assert_array_equal(rollout.obs.last_action[1:], rollout.action[:-1])
    np.testing.assert_array_equal(rollout.obs.last_reward[1:], rollout.reward[:-1])
    np.testing.assert_array_equal(unrolled.timestep.obs.last_action, rollout.action[-1])
    assert rollout.truncated[-1].all()
    assert not rollout.truncated[:-1].any()
    assert not rollout.terminated.any()
    assert rollout.valid.all()
    expected_time = np.broadcast_to(np.arange(STEPS)[:, None], (STEPS, N * A))
    np.testing.assert_array_equal(rollout.extras["time"], expected_time)


def test_the_key_decides(env, levels):
    one, other = (played(env, levels, jax.random.key(k), 5).rollout for k in (1, 2))
    assert (one.extras["drawn"] != other.extras["drawn"]).any()
    steps = np.asarray(one.extras["drawn"])
    assert (steps[1:] != steps[:-1]).any(axis=1).sum() > STEPS // 2


def test_flatten_puts_agents_beside_each_other(env, levels):
    _, timestep = jax.vmap(env.start)(levels)
    flat = flatten(timestep)
    for n in range(N):
        for a in range(A):
            assert_same(
                jax.tree.map(lambda x, i=n * A + a: x[i], flat),
                jax.tree.map(lambda x, n=n, a=a: x[n, a], timestep),
            )


class EndsOnce(Return):
    """Ends an episode after three steps, and does not say so again later."""

    def step(self, state, world, event):
        return super().step(state, world, event)._replace(terminated=state.time + 1 == 3)


def room(task, max_steps):
    cave = TextMap(("#####", "#...#", "#...#", "#####"))
    return Env(EnvConfig(map=cave, task=task, num_agents=A, max_steps=max_steps))


def test_after_its_end_an_episode_is_not_valid():
    env = room(EndsOnce(), 6)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(0), N))
    rollout = play(env, random_policy(4), levels, jax.random.key(1), chunk_steps=4).rollout
    assert rollout.terminated[:, 0].tolist() == [False, False, True, False, False, False]
    for stream in range(N * A):
        assert rollout.valid[:, stream].tolist() == [True] * 3 + [False] * 3


def note_time(noted, timestep, key):
    """Actions that depend on the time alone, and the time."""
    return PolicyOutput(noted, (timestep.time * 7 + 3) % 4, timestep.time)


@partial(jax.jit, static_argnums=0)
def begun(env):
    return RunnerState(*VectorEnv(env, N).reset(jnp.zeros((N, 2), jnp.uint32)), ())


@partial(jax.jit, static_argnums=(0, 2))
def going_on(env, streams, num_steps):
    policy = Policy(init=lambda batch: (), act=note_time)
    return unroll(VectorEnv(env, N).step, policy, streams, jax.random.key(0), num_steps, 0)


@pytest.mark.parametrize(
    ("task", "length"), [(Return(), 5), (EndsOnce(), 3)], ids=["clock", "task"]
)
def test_the_row_of_a_reset_is_not_valid(task, length):
    env = room(task, 5)
    rollout = going_on(env, begun(env), 20).rollout
    # The last observation of an episode is a row, too: no action on it counts.
    time = np.arange(20) % (length + 1)
    for stream in range(N * A):
        np.testing.assert_array_equal(rollout.extras[:, stream], time)
        np.testing.assert_array_equal(rollout.valid[:, stream], time < length)
        np.testing.assert_array_equal(
            (rollout.terminated | rollout.truncated)[:, stream], time == length - 1
        )
    assert (rollout.reward[time == length] == 0).all()


def test_unrolls_go_on_where_the_last_one_stopped():
    # Six rows an episode: rows 5, 10 and 15 are a last observation, one before it, and the middle.
    env = room(Return(), 5)
    whole = going_on(env, begun(env), 20)
    streams, rollouts = begun(env), []
    for _ in range(4):
        unrolled = going_on(env, streams, 5)
        streams = unrolled.runner_state
        rollouts.append(unrolled.rollout)
    assert_same(jax.tree.map(lambda *x: jnp.concatenate(x), *rollouts), whole.rollout)
    assert_same(streams, whole.runner_state)


def test_a_memory_grows_beyond_the_room_that_it_had():
    env, rooms = room(Return(), 5), []

    def grow(carry, length):
        rooms.append(length)
        return jnp.zeros(length, jnp.float32)

    def act(carry, timestep, key):
        return note_time((), timestep, key)._replace(carry=carry)

    step, key = VectorEnv(env, N).step, jax.random.key(0)

    def play_ten(streams, policy):
        return unroll(step, policy, streams, key, 10, 3, 4)

    growing = Policy(init=lambda batch: (), act=act, grow=grow)
    streams = begun(env)._replace(carry=jnp.zeros(3, jnp.float32))
    jax.eval_shape(lambda streams: play_ten(streams, growing), streams)
    assert list(dict.fromkeys(rooms)) == [3 + 10, 3 + 4, 3 + 8]  # the first one asks for the shape
    rooms.clear()

    def keep(carry, length):
        rooms.append(length)
        return carry

    constant = Policy(init=lambda batch: (), act=act, grow=keep)
    jax.eval_shape(lambda streams: play_ten(streams, constant), streams)
    assert set(rooms) == {3 + 10}  # one scan
