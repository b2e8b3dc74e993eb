import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from playing import start, step

import gridmem
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.seeding import level_key, seed_key
from gridmem.envs.environment import Environment

S8, S16 = "MiniGrid-MemoryS8", "MiniGrid-MemoryS16"
FORWARD, RIGHT, LEFT, PICK_UP, PUT_DOWN, TOGGLE, NONE = range(7)
UP, DOWN = [LEFT, FORWARD], [RIGHT, FORWARD]
both = pytest.mark.parametrize("id", [S8, S16])


def make(id, **options):
    pytest.importorskip("xminigrid")
    return gridmem.make(id, **options)


@partial(jax.jit, static_argnums=0)
def play(env, levels, actions):
    """States and timesteps [T + 1, N, ...] of N episodes."""

    def body(state, action):
        state, timestep = jax.vmap(env.step)(state, action[:, None])
        return state, (state, timestep)

    first = jax.vmap(env.start)(levels)
    return joined(first, jax.lax.scan(body, first[0], actions)[1])


def joined(first, following):
    return jax.tree.map(lambda x, y: jnp.concatenate([x[None], y]), first, following)


def levels(number):
    return jax.random.key_data(jax.random.split(jax.random.key(3, impl="threefry2x32"), number))


def random_actions(steps, number):
    return jax.random.randint(jax.random.key(1), (steps, number), FORWARD, NONE)


def assert_equal(one, other):
    # Rewards may be rounded differently in another program.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), one, other)


def steps_to_the_end(env, state):
    """From the first cell to between the two objects."""
    return env.params.width - 2 - int(state.state.agent.position[1])


@both
def test_a_missing_package_is_named_with_what_to_type(id, monkeypatch):
    monkeypatch.setitem(sys.modules, "xminigrid", None)
    with pytest.raises(ValueError, match="it needs the package xminigrid") as error:
        gridmem.make(id)
    assert "uv run --extra xland" in str(error.value)
    assert 'pip install "xminigrid==0.9.3"' in str(error.value)


@pytest.mark.parametrize(("id", "width", "max_steps"), [(S8, 8, 320), (S16, 16, 1280)])
def test_the_spec_is_that_of_upstream(id, width, max_steps):
    env = make(id)
    from xminigrid.core.constants import NUM_ACTIONS, NUM_COLORS, NUM_TILES

    assert isinstance(env, Environment)
    assert (env.num_agents, env.max_steps) == (1, max_steps)
    assert (env.params.width, env.params.view_size, env.params.max_steps) == (width, 3, max_steps)
    assert env.actions == gridmem.Discrete(NUM_ACTIONS)
    tiles = gridmem.Ids("tiles", (3, 3), NUM_TILES)
    assert env.parts == (tiles, gridmem.Ids("colours", (3, 3), NUM_COLORS))
    assert env.stats == gridmem.Returns()
    assert env.about == f"XLand-MiniGrid's corridor, view 3 x 3, {max_steps} steps"


def test_environments_are_equal_for_equal_ids_and_options():
    env = make(S8)
    assert make(S8) == env == make(S8, max_steps=320)
    assert hash(make(S8)) == hash(env)
    assert env not in (make(S16), make(S8, max_steps=321))
    assert make(S8, max_steps=50).mean_steps == 50


def test_invalid_options_are_rejected():
    with pytest.raises(ValueError, match="max_steps is 0; it must be a whole number, 1 or more"):
        make(S8, max_steps=0)
    with pytest.raises(ValueError, match="no option 'view_size'; it has max_steps"):
        make(S8, view_size=5)


def test_a_step_keeps_all_types_and_none_is_weak():
    env = make(S8)
    first = jax.eval_shape(env.start, levels(1)[0])
    following = jax.eval_shape(env.step, first[0], jnp.zeros(1, jnp.int32))
    for one, other in zip(*map(jax.tree.leaves, (first, following)), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert not one.weak_type
        assert not other.weak_type


def test_a_level_is_the_data_of_a_key():
    env, key = make(S8), jax.random.key(3, impl="threefry2x32")
    np.testing.assert_array_equal(env.generate(key), jax.random.key_data(key))
    level = env.generate(jax.random.key(3, impl="rbg"))
    assert (level.shape, level.dtype) == ((2,), jnp.uint32)


@pytest.mark.slow
@both
def test_episodes_are_those_of_upstream(id):
    env = make(id)
    import xminigrid

    game, params = xminigrid.make(id)
    number, actions = 16, random_actions(200, 16)

    @jax.jit
    def upstream(keys):
        def body(timestep, action):
            timestep = jax.vmap(partial(game.step, params))(timestep, action)
            return timestep, timestep

        first = jax.vmap(partial(game.reset, params))(keys)
        return joined(first, jax.lax.scan(body, first, actions)[1])

    with jax.numpy_dtype_promotion("standard"):
        expected = upstream(jax.random.wrap_key_data(levels(number), impl="threefry2x32"))
    state, timestep = play(env, levels(number), actions)
    timestep = jax.tree.map(lambda x: x[:, :, 0], timestep)
    assert_equal(timestep.obs.tiles, expected.observation[..., 0])
    assert_equal(timestep.obs.colours, expected.observation[..., 1])
    assert_equal(timestep.reward, expected.reward)
    assert_equal(timestep.obs.last_reward, expected.reward)
    assert_equal(timestep.done, expected.last())
    assert_equal(timestep.terminated, expected.discount == 0)
    assert_equal(timestep.time, expected.state.step_num)
    assert_equal(timestep.obs.last_action[1:], actions)
    assert np.all(timestep.obs.last_action[0] == NONE)
    for name in ("grid", "agent", "carry"):
        assert_equal(getattr(state.state, name), getattr(expected.state, name))
    assert timestep.terminated.any()


@pytest.mark.slow
def test_a_level_and_actions_give_the_same_episode_one_by_one_and_in_a_batch():
    env, actions = make(S8), random_actions(40, 3)
    batch = play(env, levels(3), actions)
    for n in range(3):
        for _ in range(2):
            state, timestep = start(env, levels(3)[n])
            for t in range(len(actions) + 1):
                if t > 0:
                    state, timestep = step(env, state, actions[t - 1, n][None])
                expected = jax.tree.map(lambda x, t=t, n=n: x[t, n], batch)
                assert_equal((state, timestep), expected)


@pytest.mark.slow
@both
def test_either_object_terminates_and_the_right_one_pays(id):
    env = make(id)
    outcomes = set()
    for level in levels(12):
        state, timestep = start(env, level)
        steps = steps_to_the_end(env, state)
        cue, top = state.state.grid[2, 1], state.state.grid[1, -2]
        for _ in range(steps):
            state, timestep = step(env, state, jnp.array([FORWARD]))
            assert not timestep.done.any()
        for turn, pays in ((UP, bool((cue == top).all())), (DOWN, bool((cue != top).any()))):
            ended = state
            for action in turn:
                ended, timestep = step(env, ended, jnp.array([action]))
            assert timestep.terminated.tolist() == [True]
            assert timestep.truncated.tolist() == [False]
            assert timestep.time.tolist() == [steps + 2]
            reward = 1 - 0.9 * (steps + 2) / env.max_steps if pays else 0
            np.testing.assert_allclose(timestep.reward, [reward], rtol=1e-6)
            outcomes.add((turn is UP, pays))
    assert len(outcomes) == 4


@pytest.mark.slow
def test_the_clock_truncates_and_termination_goes_before_it():
    env = make(S8)
    state, _ = start(env, levels(1)[0])
    late = state.replace(state=state.state.replace(step_num=jnp.int32(env.max_steps - 2)))
    for action, truncated in ((PICK_UP, False), (PUT_DOWN, True)):
        late, timestep = step(env, late, jnp.array([action]))
        assert timestep.truncated.tolist() == [truncated]
        assert timestep.terminated.tolist() == [False]
        assert timestep.reward.tolist() == [0]
    assert timestep.time.tolist() == [env.max_steps]
    steps = steps_to_the_end(env, state)
    rewards = []
    for turn in (UP, DOWN):
        number = jnp.int32(env.max_steps - steps - 2)
        late = state.replace(state=state.state.replace(step_num=number))
        for action in [FORWARD] * steps + turn:
            late, timestep = step(env, late, jnp.array([action]))
        assert timestep.terminated.tolist() == [True]
        assert timestep.truncated.tolist() == [False]
        assert timestep.time.tolist() == [env.max_steps]
        rewards.append(float(timestep.reward[0]))
    np.testing.assert_allclose(sorted(rewards), [0, 0.1], rtol=1e-6)


@pytest.mark.slow
def test_a_batch_begins_fresh_levels_where_episodes_end():
    env = make(S8, max_steps=6)
    batch, seeds = VectorEnv(env, 3), jnp.asarray([seed_key(seed) for seed in range(3)])
    state, timestep = jax.jit(batch.reset)(seeds)
    advance = jax.jit(batch.step)
    for episode in range(3):
        keys = jax.vmap(level_key)(seeds, jnp.full(3, episode, jnp.uint32))
        fresh = [start(env, env.generate(key)) for key in keys]
        stacked = jax.tree.map(lambda *x: np.stack(x), *fresh)
        assert_equal(state.envs, stacked[0])
        assert_equal(timestep, jax.tree.map(lambda x: x[:, 0], stacked[1]))
        for _ in range(6):
            assert not timestep.done.any()
            state, timestep = advance(state, jnp.full(3, TOGGLE))
        assert timestep.truncated.all()
        state, timestep = advance(state, jnp.full(3, TOGGLE))
    assert state.episode.tolist() == [4, 4, 4]


@pytest.mark.slow
@both
def test_mean_steps_are_those_of_random_actions(id):
    env = make(id)
    policy = gridmem.random_policy(env.actions)
    number = 300
    rollout = jax.jit(lambda key: gridmem.play(env, policy, levels(number), key).rollout)
    metrics = env.stats.whole(rollout(jax.random.key(0)))
    assert int(metrics["num_episodes"]) == number
    assert abs(metrics["episode_length"] / env.mean_steps - 1) < 0.15


@pytest.mark.slow
@both
def test_a_frame_is_upstreams_picture(id):
    env = make(id)
    state, _ = start(env, levels(1)[0])
    picture = env.frame(state)
    assert picture.shape == (7 * 32, env.params.width * 32, 3)
    assert picture.dtype == np.uint8
    turned = env.frame(step(env, state, jnp.array([LEFT]))[0])
    row, column = (32 * int(x) for x in state.state.agent.position)
    changed = np.s_[row : row + 32, column : column + 32]
    assert (turned[changed] != picture[changed]).any()
