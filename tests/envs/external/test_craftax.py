"""Craftax. What compiles it is slow: about three minutes on two cores, half of them compilation."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gridmem
from gridmem.baselines.model.encoders import encode
from gridmem.envs.batch.autoreset import VectorEnv, VectorState
from gridmem.envs.batch.rollout import Rollout, flatten
from gridmem.envs.batch.seeding import level_key, seed_key
from gridmem.envs.environment import Environment
from gridmem.envs.external.craftax_env import craftax, craftax_classic, upstream_numbers
from gridmem.envs.external.craftax_packing import (
    CLASSIC_PARTS,
    CLASSIC_PLACES,
    CRAFTAX_PARTS,
    CRAFTAX_PLACES,
    pack_classic,
    pack_craftax,
    unpack_classic,
    unpack_craftax,
)

CRAFTAX, CLASSIC = "Craftax-Symbolic-v1", "Craftax-Classic-Symbolic-v1"
FACTORY = {CRAFTAX: craftax, CLASSIC: craftax_classic}
PACK = {CRAFTAX: pack_craftax, CLASSIC: pack_classic}
UNPACK = {CRAFTAX: unpack_craftax, CLASSIC: unpack_classic}
both = pytest.mark.parametrize("id", [CLASSIC, CRAFTAX])
N, T, MIDDLE = 64, 160, 100
CRAFTED, ROUNDS = 256, 40
LAVA = 14


def make(id, **options):
    pytest.importorskip("craftax")
    return gridmem.make(id, **options)


def compiled(function, level=1):
    """In two thirds of the time of a plain `jax.jit`; the programs are as fast.

    In a third of the time at level 0; these programs are slow.
    """
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": level})


def threefry(data):
    return jax.random.wrap_key_data(data, impl="threefry2x32")


def upstream_render(id):
    def render(game):
        with upstream_numbers():
            return make(id).upstream.renderer.render_craftax_symbolic(game)

    return jax.jit(jax.vmap(render))


@cache
def programs(id):
    """The environment, and `start` and `step` of N games here and by upstream's environment."""
    env = make(id)
    from craftax.craftax_env import make_craftax_env_from_name

    upstream = make_craftax_env_from_name(id, auto_reset=False)
    params = upstream.default_params

    def start(level):
        with upstream_numbers():
            _, game = upstream.reset_env(jax.random.split(threefry(level))[0], params)
        return env.start(level), with_key_data(game)

    def step(state, action):
        key = jax.random.split(threefry(state.key))[1]
        with upstream_numbers():
            obs, game, reward, done, _ = upstream.step_env(key, state.game, action[0], params)
        return env.step(state, action), (obs, with_key_data(game), reward, done)

    start, step = compiled(jax.vmap(start), level=0), compiled(jax.vmap(step))
    return SimpleNamespace(env=env, start=start, step=step)


def with_key_data(game):
    return game.replace(state_rng=jax.random.key_data(game.state_rng))


@cache
def levels():
    return jax.random.bits(jax.random.key(7), (N, 2), jnp.uint32)


@cache
def actions(id):
    shape = (T, N, 1)
    return jax.random.randint(jax.random.key(8), shape, 0, make(id).actions.n, jnp.int32)


@cache
def played(id):
    """An episode of random actions in each of N games, compared with upstream's.

    Differences are in numbers of games; states are those at the start, `MIDDLE` and the end.
    """
    game, unpack = programs(id), jax.jit(UNPACK[id])
    (state, timestep), theirs = game.start(levels())
    unequal = Counter(world=differences(state.game, theirs))
    timesteps, states = [jax.device_get(timestep)], {0: jax.device_get(state)}
    for t, action in enumerate(actions(id)):
        (state, timestep), (obs, theirs, reward, done) = game.step(state, action)
        unequal.update(
            state=differences(state.game, theirs),
            reward=differences(timestep.reward[:, 0], reward),
            done=differences(timestep.done[:, 0], done),
            obs=differences(unpack(timestep.obs)[:, 0], obs),
        )
        timesteps.append(jax.device_get(timestep))
        if t + 1 in (MIDDLE, T):
            states[t + 1] = jax.device_get(state)
    timesteps = jax.tree.map(lambda *rows: np.stack(rows), *timesteps)
    return SimpleNamespace(timesteps=timesteps, states=states, unequal=unequal)


@jax.jit
def _differences(one, other):
    def unequal(x, y):
        bits = [leaf.view(jnp.uint32) if leaf.dtype == jnp.float32 else leaf for leaf in (x, y)]
        return (bits[0] != bits[1]).reshape(len(x), -1).any(axis=1)

    return jnp.stack(jax.tree.leaves(jax.tree.map(unequal, one, other))).any(axis=0).sum()


def differences(one, other):
    """In how many rows trees differ in any bit."""
    return int(_differences(one, other))


# What needs no game.


@both
def test_a_missing_package_is_named_with_what_to_type(id, monkeypatch):
    monkeypatch.setitem(sys.modules, "craftax", None)
    with pytest.raises(ValueError, match="it needs the package craftax") as error:
        gridmem.make(id)
    assert "uv run --extra craftax" in str(error.value)
    assert 'pip install "craftax==1.6.1"' in str(error.value)
    assert "\n" not in str(error.value)


@both
def test_invalid_options_are_rejected(id):
    with pytest.raises(ValueError, match="max_steps is 0; it must be a whole number, 1 or more"):
        gridmem.make(id, max_steps=0)
    with pytest.raises(ValueError, match="has no option 'view_size'; it has max_steps"):
        gridmem.make(id, view_size=5)


def run(code, **environment):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_no_craftax():
    loaded = run("import sys, gridmem, gridmem.envs.external.craftax_env; print(*sys.modules)")
    assert "gridmem.envs.external.craftax_packing" in loaded.split()
    assert "craftax" not in loaded.split()


def test_the_places_of_the_parts_are_all_of_the_flat_vectors():
    for parts, places, number in [
        (CRAFTAX_PARTS, CRAFTAX_PLACES, 51),
        (CLASSIC_PARTS, CLASSIC_PLACES, 22),
    ]:
        assert [part.name for part in parts[2:]] == list(places)
        assert sorted(place for each in places.values() for place in each) == list(range(number))


# The environment as a whole.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "num_actions", "num_achievements", "max_return", "max_steps", "size"),
    [(CLASSIC, 17, 22, 22.0, 10_000, 148), (CRAFTAX, 43, 67, 226.0, 100_000, 648)],
)
def test_the_spec_is_that_of_upstream(
    id, num_actions, num_achievements, max_return, max_steps, size
):
    env = make(id)
    assert isinstance(env, Environment)
    assert (env.num_agents, env.max_steps, env.evaluation_steps) == (1, max_steps, 10_000)
    assert env.actions == gridmem.Discrete(num_actions)
    assert (len(env.stats.names), env.stats.max_return) == (num_achievements, max_return)
    in_order = sorted(env.upstream.constants.Achievement, key=lambda each: each.value)
    assert env.stats.names == tuple(each.name.lower() for each in in_order)
    assert env == make(id) == FACTORY[id](max_steps=max_steps)
    assert hash(env) == hash(make(id))
    shorter = FACTORY[id](max_steps=50)
    assert shorter != env
    assert (shorter.mean_steps, shorter.evaluation_steps) == (50, 50)
    assert len({env, make(CLASSIC), make(CRAFTAX)}) == 2
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in timestep.obs]
    assert sum(sizes[:-2]) <= size
    assert sum(sizes) <= size + 8


@pytest.mark.slow
def test_the_largest_returns_are_those_of_all_achievements():
    pytest.importorskip("craftax")
    with upstream_numbers():
        from craftax.craftax.constants import ACHIEVEMENT_REWARD_MAP
    assert make(CRAFTAX).stats.max_return == int(ACHIEVEMENT_REWARD_MAP.sum())
    assert make(CLASSIC).stats.max_return == len(make(CLASSIC).stats.names)


@pytest.mark.slow
@both
def test_a_step_keeps_all_types_also_with_64_bits_and_none_is_weak(id):
    env = make(id)
    kinds = []
    for enabled in (False, True):
        with jax.enable_x64(enabled):
            first = jax.eval_shape(env.reset, jax.random.key(0))
            second = jax.eval_shape(env.step, first[0], jax.ShapeDtypeStruct((1,), jnp.int32))
        assert jax.tree.structure(first) == jax.tree.structure(second)
        kinds += [
            [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(each)]
            for each in (first, second)
        ]
    assert kinds[0] == kinds[1] == kinds[2] == kinds[3]
    assert not any(weak for _, _, weak in kinds[0])


@pytest.mark.slow
def test_a_level_is_the_data_of_a_key():
    env = make(CLASSIC)
    key = jax.random.key(3, impl="threefry2x32")
    np.testing.assert_array_equal(env.generate(key), jax.random.key_data(key))
    assert env.generate(jax.random.key(3, impl="rbg")).shape == (2,)


@pytest.mark.slow
@both
def test_the_game_is_upstreams_and_so_are_its_observations(id):
    game = played(id)
    assert T * N >= 10_000
    assert game.unequal == Counter()
    assert game.timesteps.terminated.any()
    assert (game.timesteps.reward >= 0.9).any()


@pytest.mark.slow
@both
def test_the_first_timestep(id):
    env, first = make(id), jax.tree.map(lambda leaf: leaf[0], played(id).timesteps)
    assert (first.obs.last_action == env.actions.n).all()
    for leaf in (first.obs.last_reward, first.reward, first.time, first.done, first.events):
        assert not leaf.any()


@pytest.mark.slow
@both
def test_a_timestep_has_action_reward_time_and_achievements_so_far(id):
    env, timesteps = make(id), played(id).timesteps
    np.testing.assert_array_equal(timesteps.obs.last_action[1:], actions(id))
    np.testing.assert_array_equal(timesteps.obs.last_reward, timesteps.reward)
    expected = np.broadcast_to(np.arange(T + 1)[:, None, None], timesteps.time.shape)
    np.testing.assert_array_equal(timesteps.time, expected)
    unlocked = timesteps.events[:, :, 0]
    assert unlocked.shape == (T + 1, N, len(env.stats.names))
    assert (unlocked[1:] >= unlocked[:-1]).all()
    np.testing.assert_array_equal(unlocked[-1], played(id).states[T].game.achievements)
    assert unlocked[-1].any()


# Replays.


def assert_goes_on(id, begin, rows, state, one):
    """That the games of these rows go on as in `played`, for some steps."""
    game = played(id)
    for t in range(begin, begin + 40):
        state, timestep = one(state, actions(id)[t][rows])
        expected = jax.tree.map(lambda leaf: leaf[t + 1][rows], game.timesteps)  # noqa: B023
        jax.tree.map(np.testing.assert_array_equal, timestep, expected)


@pytest.mark.slow
@both
def test_a_level_and_actions_give_the_same_episode_in_other_company(id):
    game, rows = programs(id), np.random.default_rng(0).integers(0, N, N)
    (state, _), _ = game.start(levels()[rows])
    assert_goes_on(id, 0, rows, state, lambda *arguments: game.step(*arguments)[0])


@pytest.mark.slow
@both
def test_an_episode_is_resumed_from_its_stored_state(id):
    game, rows = programs(id), np.arange(N)
    state = jax.tree.map(jnp.asarray, played(id).states[MIDDLE])
    assert_goes_on(id, MIDDLE, rows, state, lambda *arguments: game.step(*arguments)[0])


@pytest.mark.slow
def test_a_level_and_actions_give_the_same_episode_alone():
    env = make(CLASSIC)
    state, timestep = compiled(env.start, level=0)(levels()[5])
    first = jax.tree.map(lambda leaf: leaf[0, 5], played(CLASSIC).timesteps)
    jax.tree.map(np.testing.assert_array_equal, timestep, first)
    assert_goes_on(CLASSIC, 0, 5, state, compiled(env.step, level=0))


# The ends of episodes.

RUNNING, LAST, DYING, DYING_LAST, OVER, OTHER, OTHER_LAST = range(7)


@pytest.mark.slow
@both
def test_death_and_victory_terminate_and_go_before_the_clock_which_truncates(id):
    game, state = programs(id), played(id).states[0]
    most = game.env.max_steps
    time, health = state.game.timestep.copy(), state.game.player_health.copy()
    time[[LAST, DYING_LAST, OTHER_LAST]] = most - 1
    time[RUNNING], time[OVER] = most - 2, most + 5
    health[[DYING, DYING_LAST]] = -3
    changes = {"timestep": time, "player_health": health}
    others = [OTHER, OTHER_LAST]
    if id == CLASSIC:
        changes["map"] = state.game.map.copy()
        changes["map"][others] = LAVA
    else:
        changes["boss_progress"] = state.game.boss_progress.copy()
        changes["boss_progress"][others] = 8  # the necromancer is defeated
    state = state._replace(game=state.game.replace(**changes))
    (state, timestep), _ = game.step(state, np.zeros((N, 1), np.int32))
    ends = np.stack([timestep.terminated[:, 0], timestep.truncated[:, 0]], axis=1)
    nothing, terminated, truncated = [False, False], [True, False], [False, True]
    assert ends[RUNNING].tolist() == nothing
    assert ends[LAST].tolist() == ends[OVER].tolist() == truncated
    for row in (DYING, DYING_LAST, OTHER, OTHER_LAST):
        assert ends[row].tolist() == terminated, row
    assert not ends[OTHER_LAST + 1 :].any()
    # An episode can go on after its end, and so does its clock.
    (state, timestep), _ = game.step(state, np.zeros((N, 1), np.int32))
    assert timestep.terminated[DYING_LAST, 0]
    assert timestep.time[[RUNNING, DYING_LAST, OVER], 0].tolist() == [most, most + 1, most + 7]
    assert timestep.truncated[RUNNING, 0]


def worlds_of(keys, episodes):
    """The levels with these numbers in the streams of seeds."""
    return jax.vmap(make(CLASSIC).generate)(jax.vmap(level_key)(keys, episodes))


@cache
def batch():
    """300 steps of a batch of episodes of at most 120 steps of Classic, and its seeds."""
    vector = VectorEnv(craftax_classic(max_steps=120), N)
    keys = jnp.asarray([seed_key(seed) for seed in range(N)])
    episode = jnp.zeros(N, jnp.uint32)
    # As `vector.reset` does, by a program that exists already.
    (envs, timestep), _ = programs(CLASSIC).start(worlds_of(keys, episode))
    state = VectorState(envs, keys, episode + 1, jnp.zeros(N, bool))
    timestep, step = flatten(timestep), compiled(vector.step)
    worlds, rows = {}, []
    for t in range(300):
        fresh = np.flatnonzero(timestep.time == 0)
        maps, episode = np.asarray(state.envs.game.map), np.asarray(state.episode)
        for row in fresh:
            worlds[int(row), int(episode[row]) - 1] = maps[row]
        action = jax.random.randint(jax.random.key(t), (N,), 0, 17, jnp.int32)
        before, (state, timestep) = timestep, step(state, action)
        rows.append(jax.device_get((before.done, timestep._replace(obs=()), action)))
    return SimpleNamespace(keys=keys, worlds=worlds, rows=rows)


@pytest.mark.slow
def test_a_batch_begins_fresh_worlds_where_episodes_end():
    worlds = batch().worlds
    assert len(worlds) >= 3 * N
    assert len({hashlib.sha256(each.tobytes()).hexdigest() for each in worlds.values()}) == len(
        worlds
    )
    chosen = sorted(worlds, key=lambda each: (-each[1], each))[:N]
    rows, episodes = np.array(chosen).T
    again = worlds_of(batch().keys[rows], jnp.asarray(episodes, jnp.uint32))
    (state, _), _ = programs(CLASSIC).start(again)
    np.testing.assert_array_equal(state.game.map, np.stack([worlds[each] for each in chosen]))


@pytest.mark.slow
def test_statistics_are_those_of_a_slow_twin():
    env = make(CLASSIC)
    rollout = as_rollout(batch().rows)
    half = len(rollout.reward) // 2
    accumulator, metrics = env.stats.init(N), []
    for part in (slice(None, half), slice(half, None)):
        rows = jax.tree.map(lambda leaf: leaf[part], rollout)  # noqa: B023
        accumulator, means = env.stats.add(accumulator, rows)
        metrics.append(means)
    for means, episodes in zip(metrics, twin(rollout, half), strict=True):
        assert means["num_episodes"] == len(episodes) > 0
        returns, lengths, unlocked = (np.array(each) for each in zip(*episodes, strict=True))
        close = pytest.approx(returns.mean(), abs=1e-5)
        assert means["episode_return"] == close
        assert means["return_percent"] == pytest.approx(100 * returns.mean() / 22, abs=1e-4)
        assert means["episode_length"] == pytest.approx(lengths.mean())
        rates = unlocked.mean(axis=0)
        for name, rate in zip(env.stats.names, rates, strict=True):
            assert means[f"achievements/{name}"] == pytest.approx(rate)
        score = np.exp(np.log(1 + 100 * rates).mean()) - 1
        assert means["crafter_score"] == pytest.approx(score, rel=1e-5)
    ends = rollout.valid & rollout.terminated, rollout.valid & rollout.truncated
    assert all(each.any() for each in ends)


def as_rollout(rows):
    over, timestep, action = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    rollout = Rollout(
        obs=(),
        valid=~over,
        action=action,
        reward=timestep.reward,
        terminated=timestep.terminated,
        truncated=timestep.truncated,
        extras=(),
        events=timestep.events,
    )
    return jax.tree.map(jnp.asarray, rollout)


def twin(rollout, half):
    """Return, length and achievements of the episodes that end in each half, one by one."""
    rollout, ended = jax.device_get(rollout), [[], []]
    for n in range(N):
        total, steps = 0.0, 0
        for t in range(len(rollout.reward)):
            if not rollout.valid[t, n]:
                total, steps = 0.0, 0
                continue
            total, steps = total + float(rollout.reward[t, n]), steps + 1
            if rollout.terminated[t, n] or rollout.truncated[t, n]:
                ended[t >= half].append((total, steps, rollout.events[t, n].astype(float)))
    return ended


# Observations of states that random actions do not reach.


def crafted(id, rng):
    """`CRAFTED` states at random places, with mobs everywhere and all there is to own."""
    return craft_craftax(rng) if id == CRAFTAX else craft_classic(rng)


@cache
def lands(id):
    """States with random maps, and light that is missing, weak or everywhere."""
    rng = np.random.default_rng(3)
    rows = rng.integers(0, N, CRAFTED)
    game = jax.tree.map(lambda leaf: leaf[rows], played(id).states[T].game)
    if id == CLASSIC:
        return game.replace(map=rng.integers(0, 17, game.map.shape, np.int32))
    brightest = rng.choice(np.array([0.0, 0.06, 1.0], np.float32), CRAFTED)
    return game.replace(
        map=rng.integers(0, 37, game.map.shape, np.int32),
        item_map=rng.integers(0, 5, game.item_map.shape, np.int32),
        light_map=rng.random(game.light_map.shape, np.float32) * brightest[:, None, None, None],
    )


def craft_classic(rng):
    game, size, view = lands(CLASSIC), 64, np.array([7, 9])
    player = rng.integers(0, size, (CRAFTED, 2), np.int32)
    classes = "zombies", "cows", "skeletons", "arrows"
    inventory = jax.tree.map(lambda _: integers(rng, 10), game.inventory)
    return game.replace(
        player_position=player,
        player_direction=integers(rng, 4) + 1,
        player_health=integers(rng, 10),
        player_food=integers(rng, 10),
        player_drink=integers(rng, 10),
        player_energy=integers(rng, 10),
        is_sleeping=rng.random(CRAFTED) < 0.5,
        light_level=rng.random(CRAFTED, np.float32),
        inventory=inventory,
        **{name: craft_mobs(getattr(game, name), player, view, rng) for name in classes},
    )


def craft_craftax(rng):
    game, size, view = lands(CRAFTAX), 48, np.array([9, 11])
    player, level = rng.integers(0, size, (CRAFTED, 2), np.int32), integers(rng, 9)
    classes = "melee_mobs", "passive_mobs", "ranged_mobs", "mob_projectiles", "player_projectiles"
    few = {"pickaxe": 5, "sword": 5, "bow": 2, "armour": 3, "books": 3}
    inventory = game.inventory.replace(
        **{
            name: rng.integers(0, few.get(name, 100), leaf.shape, np.int32)
            for name, leaf in vars(game.inventory).items()
        }
    )
    names = "food drink energy mana xp dexterity strength intelligence"
    return game.replace(
        player_position=player,
        player_level=level,
        player_direction=integers(rng, 4) + 1,
        player_health=rng.uniform(-1, 20, CRAFTED).astype(np.float32),
        is_sleeping=rng.random(CRAFTED) < 0.5,
        is_resting=rng.random(CRAFTED) < 0.5,
        light_level=rng.random(CRAFTED, np.float32),
        learned_spells=rng.random((CRAFTED, 2)) < 0.5,
        monsters_killed=rng.integers(0, 12, (CRAFTED, 9), np.int32),
        boss_timesteps_to_spawn_this_round=rng.integers(-1, 3, CRAFTED, np.int32),
        sword_enchantment=integers(rng, 3),
        bow_enchantment=integers(rng, 3),
        armour_enchantments=rng.integers(0, 3, (CRAFTED, 4), np.int32),
        inventory=inventory,
        **{f"player_{name}": integers(rng, 20) for name in names.split()},
        **{name: craft_mobs(getattr(game, name), player, view, rng, level) for name in classes},
    )


def integers(rng, most):
    return rng.integers(0, most, CRAFTED, np.int32)


def craft_mobs(mobs, player, view, rng, level=None):
    """Around the player, many on one cell, or where an index counted from the end is that cell."""
    shape = mobs.mask.shape
    mask = rng.random(shape) < 0.6
    here = rng.integers(-view // 2 - 2, view // 2 + 3, (*shape, 2), np.int32)
    stacked = rng.random(shape) < 0.5
    here = np.where(stacked[..., None], here[..., :1, :], here)
    aliased = rng.random((*shape, 2)) < 0.2
    here = (here - aliased * view).astype(np.int32)
    centre = player.reshape(CRAFTED, *[1] * (len(shape) - 1), 2)
    changes = {"position": centre + here, "mask": mask}
    if level is not None:
        changes["type_id"] = rng.integers(0, rng.choice([2, 8]), shape, np.int32)
    return mobs.replace(**changes)


@cache
def packing(id):
    """From N states to observations, and to upstream's rendering of them."""
    zero = jnp.int32(0), jnp.float32(0)
    pack = jax.jit(jax.vmap(lambda game: PACK[id](game, *zero)))
    return pack, jax.jit(UNPACK[id]), upstream_render(id)


@pytest.mark.slow
@both
def test_crafted_states_are_packed_bit_for_bit(id):
    pack, unpack, render = packing(id)
    rng = np.random.default_rng(0)
    assert CRAFTED * ROUNDS >= 10_000
    erased, dark, total = 0, 0, 0
    for _ in range(ROUNDS):
        game = crafted(id, rng)
        obs, theirs = pack(game), render(game)
        assert differences(unpack(obs), theirs) == 0
        erased += num_erased(id, game, obs)
        if id == CRAFTAX:
            dark += int((obs.ground == 0).sum())
            total += obs.ground.size
    # The states are those that the test is about.
    assert erased >= 500
    if id == CRAFTAX:
        assert 0.2 < dark / total < 0.8


def num_erased(id, game, obs):
    """Living mobs on the screen that the observation does not show, although it is light."""
    view = np.array([9, 11] if id == CRAFTAX else [7, 9])
    classes = ["zombies", "cows", "skeletons", "arrows"]
    if id == CRAFTAX:
        classes = ["melee_mobs", "passive_mobs", "ranged_mobs"]
        classes += ["mob_projectiles", "player_projectiles"]
    flat = np.asarray(UNPACK[id](obs))
    depth, first = (83, 42) if id == CRAFTAX else (21, 17)
    cells = flat[:, : view.prod() * depth].reshape(CRAFTED, *view, depth)
    erased = 0
    for number, name in enumerate(classes):
        mobs, rows = getattr(game, name), np.arange(CRAFTED)
        if id == CRAFTAX:
            mobs = jax.tree.map(lambda leaf: leaf[rows, game.player_level], mobs)  # noqa: B023
        place = mobs.position - game.player_position[:, None] + view // 2
        seen = ((place >= 0) & (place < view)).all(axis=-1) & mobs.mask
        place = np.clip(place, 0, view - 1)
        channel = first + (8 * number + mobs.type_id if id == CRAFTAX else number)
        at = rows[:, None], place[..., 0], place[..., 1]
        lit = cells[(*at, 82)] > 0 if id == CRAFTAX else True
        erased += int((seen & lit & (cells[(*at, channel)] == 0)).sum())
    return erased


def part_weights(id, weight):
    """The weights of the parts, by name, that do what a dense layer does to the flat vector."""
    parts, places = (
        (CRAFTAX_PARTS, CRAFTAX_PLACES) if id == CRAFTAX else (CLASSIC_PARTS, CLASSIC_PLACES)
    )
    num_cells, depth = (99, 83) if id == CRAFTAX else (63, 21)
    cells, width = weight[: num_cells * depth].reshape(num_cells, depth, -1), weight.shape[1]
    if id == CRAFTAX:
        # A lit cell has one block, so that light's row is added to that of every block.
        blocks = (cells[:, :37] + cells[:, 82:]).reshape(-1, width)
        ground = np.concatenate([blocks, cells[:, 37:42].reshape(-1, width)])
        mobs = cells[:, 42:82].reshape(-1, width)
    else:
        ground = cells[:, :17].reshape(-1, width)
        mobs = np.pad(cells[:, 17:].reshape(-1, width), ((0, 4), (0, 0)))
    rest = weight[num_cells * depth :]
    weights = {"ground": ground, "mobs": mobs}
    weights |= {name: rest[list(place)] for name, place in places.items()}
    return parts, weights


@pytest.mark.slow
@both
def test_the_encoder_equals_a_dense_layer_on_upstreams_floats(id):
    pack, _, render = packing(id)
    game, rng = crafted(id, np.random.default_rng(1)), np.random.default_rng(2)
    obs, flat = pack(game), np.asarray(render(game))
    weight = rng.normal(0, 1 / np.sqrt(flat.shape[1]), (flat.shape[1], 16)).astype(np.float32)
    parts, weights = part_weights(id, weight)
    token = sum(
        encode(part, jnp.asarray(weights[part.name]), getattr(obs, part.name), jnp.float32)
        for part in parts
    )
    expected = flat.astype(np.float64) @ weight.astype(np.float64)
    np.testing.assert_allclose(token, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.1


# Pictures.


@pytest.mark.slow
@both
def test_a_frame_is_a_picture_of_what_is_seen(id):
    env = make(id)
    state = jax.tree.map(lambda leaf: leaf[0], played(id).states[0])
    obs = jax.tree.map(lambda leaf: leaf[0, 0, 0], played(id).timesteps.obs)
    frame = env.frame(state)
    height, width = obs.ground.shape
    assert frame.dtype == np.uint8
    assert frame.shape == (32 * (height + (4 if id == CRAFTAX else 2)), 32 * width, 3)
    cells = frame[: 32 * height].reshape(height, 32, width, 32, 3).mean(axis=(1, 3))
    blocks = obs.ground if id == CLASSIC else obs.ground.astype(int) % 38 - 1
    grass, water, free = blocks == 2, blocks == 3, obs_mobs(id, obs) == 0
    free[height // 2, width // 2] = False  # the player
    red, green, blue = np.moveaxis(cells, -1, 0)
    assert (grass & free).sum() > 3
    assert (green > 1.5 * np.maximum(red, blue))[grass & free].all()
    assert (blue > 1.5 * red)[water & free].all()


def obs_mobs(id, obs):
    if id == CRAFTAX:
        return obs.mobs.sum(axis=-1)
    halves = np.stack([obs.mobs % 16, obs.mobs // 16], axis=-1)
    return halves.reshape(-1)[:-1].reshape(obs.ground.shape)


@pytest.mark.slow
def test_a_read_only_installation_is_read_only(tmp_path):
    package = pytest.importorskip("craftax")
    copy = tmp_path / "craftax"
    shutil.copytree(
        Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pbz2")
    )
    files = sorted(copy.rglob("*"))
    for path in [*files, copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = """
import jax, numpy as np
from gridmem.envs.external.craftax_env import craftax_classic
env = craftax_classic()
import craftax
print(craftax.__file__)
from craftax.craftax_classic import constants
assert constants.load_all_textures.cache_info().currsize == 0
state, _ = jax.eval_shape(env.reset, jax.random.key(0))
print(env.frame(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)).shape)
"""
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    printed = run(code, **environment, XLA_FLAGS="--xla_backend_optimization_level=0").splitlines()
    assert printed == [str(copy / "__init__.py"), "(288, 288, 3)"]
    assert sorted(copy.rglob("*")) == files
    for path in [copy, *files]:
        path.chmod(0o755)
