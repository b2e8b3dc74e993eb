from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from breadth import breadth

import gridmem
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.seeding import level_key, seed_key
from gridmem.envs.env import Env, EnvConfig
from gridmem.envs.maps import TextMap
from gridmem.envs.tasks import Return

N, A, MAX_STEPS = 5, 2, 4
RULES = {"dig_steps": 2, "num_agents": A, "max_steps": MAX_STEPS}
CAVES = gridmem.make("GridMem-9x9-v0", map={"solid": "rock"}, **RULES)
# Goals and spawns are drawn in it, and it compiles in a fraction of the time that noise takes.
HALL = TextMap(("########", "#......#", "#.%%.#.#", "#...%..#", "########"))
ENV = gridmem.make("GridMem-9x9-v0", map=HALL, **RULES)
BATCH = VectorEnv(ENV, N)
KEYS = jnp.asarray([seed_key(seed) for seed in range(N)])

reset = jax.jit(BATCH.reset)
step = jax.jit(BATCH.step)
step_then_reset = jax.jit(BATCH.step_then_reset)
step_only = jax.jit(BATCH.step_only)
restart = jax.jit(BATCH.restart)
single_reset = jax.jit(lambda key, episode: ENV.reset(level_key(key, episode)))
single_step = jax.jit(ENV.step)


class Single:
    """One environment of the batch, played by hand."""

    def __init__(self, index):
        self.index, self.episode = index, 0
        self.begin()

    def begin(self):
        self.state, self.timestep = single_reset(KEYS[self.index], jnp.uint32(self.episode))
        self.episode += 1

    def act(self, action):
        self.state, self.timestep = single_step(self.state, action)

    @property
    def done(self):
        return bool(self.timestep.done.any())


def timesteps_of(singles):
    """As the batch has them, flattened to streams."""
    return jax.tree.map(lambda *x: np.concatenate(x), *(s.timestep for s in singles))


def assert_equal(singles, state, timestep):
    """That the batch, state and timesteps, is that of the singles."""
    jax.tree.map(np.testing.assert_array_equal, timestep, timesteps_of(singles))
    expected = jax.tree.map(lambda *x: np.stack(x), *(s.state for s in singles))
    jax.tree.map(np.testing.assert_array_equal, state.envs, expected)
    assert state.episode.tolist() == [s.episode for s in singles]


def begin_staggered():
    """A batch, and the same one by one, whose ends fall on different steps."""
    state, timestep = reset(KEYS)
    singles = [Single(i) for i in range(N)]
    assert_equal(singles, state, timestep)
    for marks in ([0, 1, 0, 0, 1], [0, 0, 1, 0, 1]):
        action = jnp.full(N * A, 1)
        state, _ = step_only(state, action)
        act(singles, action)
        state, timestep = restart(state, jnp.array(marks, bool))
        for single, mark in zip(singles, marks, strict=True):
            if mark:
                single.begin()
        assert_equal(singles, state, timestep)
    return state, singles


def act(singles, action):
    """A step of each, whether it has ended or not."""
    for single, own in zip(singles, action.reshape(N, A), strict=True):
        single.act(own)


def actions():
    return jax.random.randint(jax.random.key(0), (3 * MAX_STEPS + 2, N * A), 0, 5)


def test_next_step_equals_the_environments_one_by_one():
    state, singles = begin_staggered()
    for action in actions():
        for single, own in zip(singles, action.reshape(N, A), strict=True):
            single.begin() if single.done else single.act(own)
        state, timestep = step(state, action)
        assert_equal(singles, state, timestep)
        assert state.done.tolist() == [s.done for s in singles]
    assert min(s.episode for s in singles) >= 3


def test_same_step_equals_the_environments_one_by_one():
    state, singles = begin_staggered()
    for action in actions():
        act(singles, action)
        expected = timesteps_of(singles)
        visits = np.concatenate([s.state.visits for s in singles])
        for single in singles:
            if single.done:
                single.begin()
        state, timestep, final = step_then_reset(state, action)
        assert_equal(singles, state, timestep)
        jax.tree.map(np.testing.assert_array_equal, final.timestep, expected)
        np.testing.assert_array_equal(final.visits, visits)
        assert not state.done.any()
    assert min(s.episode for s in singles) >= 3


def test_without_autoreset_the_cave_stays():
    state, singles = begin_staggered()
    for action in actions():
        act(singles, action)
        state, timestep = step_only(state, action)
        assert_equal(singles, state, timestep)
    assert timestep.truncated.all()
    assert state.done.all()


def test_restart_on_given_levels_leaves_the_streams_where_they_are():
    state, singles = begin_staggered()
    level = jax.jit(ENV.generate)(jax.random.key(99))
    levels = jax.tree.map(lambda x: jnp.stack([x] * N), level)
    state, timestep = restart(state, jnp.array([1, 0, 0, 1, 0], bool), levels)
    for index in (0, 3):
        singles[index].state, singles[index].timestep = jax.jit(ENV.start)(level)
    assert_equal(singles, state, timestep)
    state, timestep = restart(state, jnp.array([1, 0, 0, 0, 0], bool))
    singles[0].begin()
    assert_equal(singles, state, timestep)


@pytest.mark.slow
def test_a_scan_equals_the_loop():
    looped, timesteps = reset(KEYS)[0], []
    for action in actions():
        looped, timestep = step(looped, action)
        timesteps.append(timestep)
    scanned = jax.jit(lambda state: jax.lax.scan(BATCH.step, state, actions()))(reset(KEYS)[0])
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *timesteps)
    jax.tree.map(np.testing.assert_array_equal, scanned, (looped, stacked))


def with_starts(batch, state, actions, time):
    """Steps with the starts of the episodes that begin in them drawn before."""
    starts = batch.next_starts(state, time, len(actions))
    assert starts is not None
    state, timesteps = jax.lax.scan(lambda s, a: batch.step(s, a, starts), state, actions)
    return state, timesteps


@pytest.mark.parametrize("num_steps", breadth([1, 3, MAX_STEPS], 3, MAX_STEPS))
def test_starts_that_are_drawn_before_the_steps_are_those_of_the_steps(num_steps):
    state, _ = begin_staggered()
    other, ends = state, 0
    run = jax.jit(partial(with_starts, BATCH))
    for each in range(0, 12, num_steps):
        part = actions()[each : each + num_steps]
        time = jnp.repeat(state.envs.time, A)
        state, timesteps = run(state, part, time)
        other, expected = jax.jit(lambda s, a: jax.lax.scan(BATCH.step, s, a))(other, part)
        jax.tree.map(np.testing.assert_array_equal, (state, timesteps), (other, expected))
        ends += int(expected.done.sum())
    assert ends >= 2 * N * A


def test_with_starts_a_step_has_no_loop():
    """Where the program is lowered for CUDA."""
    state, _ = jax.eval_shape(BATCH.reset, KEYS)
    args = state, jnp.zeros(N * A, jnp.int32)
    starts = jax.eval_shape(partial(BATCH.next_starts, num_steps=2), state, args[1])
    texts = [
        jax.jit(BATCH.step).trace(*args, each).lower(lowering_platforms=("cuda",)).as_text()
        for each in (starts, None)
    ]
    assert ["stablehlo.while" in text for text in texts] == [False, True]


class Ends(Return):
    """May end an episode, although its class is derived from one that does not."""


class Shorter(Env):
    """May do so, too."""


def test_starts_are_not_drawn_where_an_episode_may_end_early():
    assert not Shorter(ENV.config).has_fixed_length
    may_end = Env(replace(ENV.config, task=Ends()))
    state, _ = reset(KEYS)
    time = jnp.zeros(N * A, jnp.int32)
    assert (ENV.has_fixed_length, may_end.has_fixed_length) == (True, False)
    assert VectorEnv(may_end, N).next_starts(state, time, 2) is None
    assert BATCH.next_starts(state, time, MAX_STEPS + 1) is None


@pytest.mark.parametrize("autoreset", breadth(["step", "step_then_reset"], "step"))
def test_every_reset_draws_a_fresh_level(autoreset):
    """Also when all end at once, and when more end than are made at a time."""
    batch = VectorEnv(gridmem.make("GridMem-9x9-v0", map=HALL, max_steps=2), 20)
    keys = jnp.asarray([seed_key(seed) for seed in range(20)])
    still = jnp.full(20, 4)

    def play(state, _):
        state = getattr(batch, autoreset)(state, still)[0]
        return state, (state.envs.time, state.envs.spawns)

    first, _ = jax.jit(batch.reset)(keys)
    _, (time, spawns) = jax.jit(lambda state: jax.lax.scan(play, state, None, 11))(first)
    levels = [drawn.tobytes() for drawn in np.asarray(spawns)[np.asarray(time) == 0]]
    levels += [drawn.tobytes() for drawn in np.asarray(first.envs.spawns)]
    assert len(levels) == 20 * (4 if autoreset == "step" else 6)
    assert len(set(levels)) == len(levels)


@dataclass(frozen=True)
class Counted(TextMap):
    """Notes every group of maps that is generated."""

    def generate(self, key):
        jax.debug.callback(lambda: MADE.append(1))
        return super().generate(key)


MADE = []
MAP = Counted(("######", "#....#", "#....#", "######"))
COUNTED = VectorEnv(Env(EnvConfig(MAP, max_steps=9)), 20)
COUNTED_STEPS = {
    "step": jax.jit(COUNTED.step),
    "step_then_reset": jax.jit(COUNTED.step_then_reset),
}


@pytest.mark.parametrize(("ended", "groups"), [(0, 0), (1, 1), (8, 1), (9, 2), (20, 3)])
@pytest.mark.parametrize("autoreset", breadth(COUNTED_STEPS, "step"))
def test_levels_are_made_for_those_that_ended_only(ended, groups, autoreset):
    state, _ = jax.jit(COUNTED.reset)(jnp.zeros((20, 2), jnp.uint32))
    ends = jnp.arange(20) < ended
    time = jnp.where(ends, 8, 0)
    state = state._replace(envs=state.envs._replace(time=time), done=ends)
    jax.effects_barrier()
    MADE.clear()
    jax.block_until_ready(COUNTED_STEPS[autoreset](state, jnp.zeros(20, jnp.int32)))
    jax.effects_barrier()
    assert len(MADE) == groups


@pytest.mark.parametrize(("ended", "groups"), [(0, 0), (1, 1), (8, 1), (9, 2), (20, 3)])
def test_starts_are_drawn_for_those_that_begin_only(ended, groups):
    state, _ = jax.jit(COUNTED.reset)(jnp.zeros((20, 2), jnp.uint32))
    time = jnp.where(jnp.arange(20) < ended, 5, 4)
    jax.effects_barrier()
    MADE.clear()
    jax.block_until_ready(jax.jit(partial(COUNTED.next_starts, num_steps=5))(state, time))
    jax.effects_barrier()
    assert len(MADE) == groups


@pytest.mark.parametrize(
    "autoreset", breadth(["step", "step_then_reset", "with starts"], "step", "with starts")
)
def test_no_step_copies_the_maps(autoreset):
    many = 50
    batch = VectorEnv(CAVES, many)
    state, _ = jax.eval_shape(batch.reset, jnp.zeros((many, 2), jnp.uint32))
    args, step = (state, jnp.zeros(many * A, jnp.int32)), batch.step
    if autoreset == "with starts":
        args += (jax.eval_shape(partial(batch.next_starts, num_steps=2), *args),)
    else:
        step = getattr(batch, autoreset)
    text = jax.jit(step, donate_argnums=0).lower(*args).compile().as_text()
    lines = [line for line in text.splitlines() if f"u8[{many},11,11]" in line.split("=")[-1][:30]]
    assert lines
    assert not [line for line in lines if " copy(" in line]


@pytest.mark.parametrize("num", [0, -1, 2.0, True, "4"])
def test_a_wrong_number_of_environments_is_refused(num, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"num_envs is .*; it must be a whole number, 1 or more"):
        VectorEnv(ENV, num)
