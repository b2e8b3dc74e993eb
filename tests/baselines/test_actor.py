"""Actors in every face against the same model in pure JAX, on the same levels."""

from functools import cache, partial

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from breadth import breadth
from flax import nnx

import gridmem
from gridmem.baselines.actor import _drop_old
from gridmem.baselines.agent import Agent
from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.rollout import play

STEPS = tiny.CONFIG.make_env().max_steps
NUM_ENVS = 4


@cache
def agent_of(config):
    """An agent that is sure of what it does, and does it because of what it remembers."""
    _, learner = tiny.start(config)
    params = jax.tree.map(lambda x: 4 * x, learner.params)
    return Agent(config, config.make_env(), tiny.ppo(config), params)


@pytest.fixture(scope="module")
def agent():
    return agent_of(tiny.CONFIG)


@partial(jax.jit, static_argnums=(0, 1))
def _played(graphdef, env, params, levels):
    policy = model_policy(nnx.merge(graphdef, params), greedy=True, explain=True)
    unrolled = play(env, policy, levels, jax.random.key(0), env.max_steps)
    return unrolled.rollout


def expected(agent, levels, env=None):
    """Greedy actions [T, N * A] of `model_policy` in whole episodes, leaves of levels [N, ...]."""
    rollout = _played(nnx.graphdef(agent.model), env or agent.env, agent.params, levels)
    best, second = jnp.sort(rollout.extras.logits)[..., :-3:-1].transpose(2, 0, 1)
    assert float(jnp.min(best - second)) > 1e-4, "a tie, which rounding may decide"
    return np.asarray(rollout.action)


@partial(jax.jit, static_argnums=0)
def generated(env, keys):
    return jax.vmap(env.generate)(keys)


def levels_of(env, num):
    return generated(env, jax.random.split(jax.random.key(1), num))


def row(levels, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf[index]), levels)


def episode(env, act, **reset):
    """The actions of an episode of a Gymnasium environment."""
    obs, _ = env.reset(**reset)
    actions, done = [], False
    while not done:
        actions.append(act(obs))
        obs, _, terminated, truncated, _ = env.step(actions[-1])
        done = terminated or truncated
    return actions


@pytest.mark.slow
@pytest.mark.parametrize("observation", ["dict", "flat"])
def test_a_single_environment_for_longer_than_the_memory_has_room(agent, observation):
    env = gymnasium.make(agent.env_id, **agent.options | {"observation": observation})
    levels, act, found = levels_of(agent.env, NUM_ENVS), agent.actor(greedy=True), []
    for level in (row(levels, i) for i in range(NUM_ENVS)):
        found.append(episode(env, act, options={"level": level}))
    np.testing.assert_array_equal(np.transpose(found), expected(agent, levels))
    assert {type(action) for actions in found for action in actions} == {int}
    assert env.action_space.contains(found[0][0])
    # What it does depends on what it remembers.
    forgetful = [
        episode(env, lambda obs: agent.actor(greedy=True)(obs), options={"level": level})
        for level in (row(levels, 0), row(levels, 1))
    ]
    assert forgetful != found[:2]


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 5])
def test_memory_and_programs_stay_as_they_are(window):
    agent = agent_of(tiny.config(model={"window": window}))
    env = gymnasium.make(agent.env_id, **agent.options)
    act = agent.actor(greedy=True)
    episode(env, act, seed=0)
    compiled_before, size = _drop_old._cache_size(), jax.tree.map(jnp.shape, act._state)
    slots = 2 * (window or STEPS + 1)
    assert {cache.key.shape[3] for cache in act._state.memory.caches} == {slots}
    for _ in range(5):
        episode(env, act)
        assert jax.tree.map(jnp.shape, act._state) == size
    assert _drop_old._cache_size() <= compiled_before + 1
    other = agent.actor(greedy=True, seed=3)
    assert other._step is act._step
    compiled = act._step._cache_size()
    episode(env, other, seed=1)
    assert other._step._cache_size() == compiled


# Arrays of JAX, and levels that begin in the step that ends one: also in the Gymnax face.
@pytest.mark.slow
@pytest.mark.parametrize("output", breadth(["numpy", "jax"], "numpy"))
@pytest.mark.parametrize("mode", breadth(["NextStep", "SameStep", "Disabled"], "NextStep"))
def test_batches_in_every_autoreset_mode(agent, mode, output):
    options = agent.options | {"autoreset_mode": mode, "output": output}
    envs = gymnasium.make_vec(agent.env_id, num_envs=NUM_ENVS, **options)
    act = agent.actor(greedy=True)
    obs, _ = envs.reset(seed=0)
    for number in range(4):
        if number and mode == "Disabled":
            obs, _ = envs.reset()
        levels, actions = envs.levels, []
        for _ in range(STEPS):
            actions.append(act(obs))
            obs, _, _, truncated, _ = envs.step(actions[-1])
        assert np.asarray(truncated).all()
        if mode == "NextStep":  # the answer to the last observation is ignored
            obs, *_ = envs.step(act(obs))
        np.testing.assert_array_equal(np.stack(actions), expected(agent, levels))
    if output == "jax":
        assert isinstance(actions[-1], jax.Array)
    else:
        assert actions[-1].dtype == np.int64
        assert envs.action_space.contains(actions[-1])


@pytest.mark.slow
def test_streams_begin_anew_each_at_its_own_time(agent):
    envs = gymnasium.make_vec(agent.env_id, num_envs=NUM_ENVS, **agent.options)
    act = agent.actor(greedy=True)
    obs, _ = envs.reset(seed=0)
    first, actions = envs.levels, []
    for time in range(STEPS):
        if time == 5:
            mask = np.array([True, False, False, True])
            obs, _ = envs.reset(options={"reset_mask": mask})
            second = envs.levels
        actions.append(act(obs))
        obs, *_ = envs.step(actions[-1])
    of_first, of_second = expected(agent, first), expected(agent, second)
    anew = np.concatenate([of_first[:5], of_second[: STEPS - 5]])
    np.testing.assert_array_equal(actions, np.where(mask, anew, of_first))


@pytest.mark.slow
def test_a_batch_as_the_streams_of_pure_jax(agent):
    """The same `VectorEnv` under `streaming_policy`, rows of resets included."""
    from gridmem.envs.batch.rollout import RunnerState, unroll
    from gridmem.envs.batch.seeding import seed_key

    num_steps = 3 * STEPS
    vector = VectorEnv(agent.env, NUM_ENVS)
    policy = streaming_policy(agent.model, greedy=True)

    @jax.jit
    def streams(keys):
        state, timestep = vector.reset(keys)
        begun = RunnerState(state, timestep, policy.init(NUM_ENVS))
        return unroll(vector.step, policy, begun, jax.random.key(0), num_steps, 0).rollout.action

    envs = gymnasium.make_vec(agent.env_id, num_envs=NUM_ENVS, **agent.options)
    obs, _ = envs.reset(seed=7)
    act, actions = agent.actor(greedy=True), []
    for _ in range(num_steps):
        actions.append(act(obs))
        obs, *_ = envs.step(actions[-1])
    wanted = streams(np.stack([seed_key(7 + i) for i in range(NUM_ENVS)]))
    np.testing.assert_array_equal(actions, wanted)


@pytest.fixture(scope="module")
def together(agent):
    """Two levels, and what three agents do in them."""
    env = gridmem.make(agent.env_id, max_steps=STEPS, num_agents=3)
    levels = levels_of(env, 2)
    actions = expected(agent, levels, env).reshape(STEPS, 2, 3).swapaxes(0, 1)
    return levels, actions


@pytest.mark.slow
@pytest.mark.parametrize("observation", breadth(["dict", "flat"], "dict"))
def test_agents_by_name(agent, together, observation):
    options = agent.options | {"observation": observation, "num_agents": 3}
    env = gridmem.parallel_env(agent.env_id, **options)
    act = agent.actor(greedy=True)
    levels, wanted = together
    for index in range(2):
        obs, _ = env.reset(options={"level": row(levels, index)})
        found = []
        while env.agents:
            actions = act(obs if len(found) % 2 else dict(reversed(obs.items())))
            found.append([actions[name] for name in env.possible_agents])
            obs, *_ = env.step(actions)
        np.testing.assert_array_equal(found, wanted[index])
        assert {type(action) for action in actions.values()} == {int}


def test_agents_that_take_turns_each_have_an_actor(agent, together):
    env = gridmem.env(agent.env_id, **agent.options | {"num_agents": 3})
    act = {name: agent.actor(greedy=True) for name in env.possible_agents}
    levels, wanted = together
    for index in range(2):
        env.reset(options={"level": row(levels, index)})
        found = []
        for name in env.agent_iter():
            obs, _, terminated, truncated, _ = env.last()
            action = None if terminated or truncated else act[name](obs)
            found += [] if action is None else [action]
            env.step(action)
        np.testing.assert_array_equal(found, wanted[index].flatten())


@pytest.mark.slow
@pytest.mark.parametrize("observation", breadth(["dict", "flat"], "dict"))
def test_the_gymnax_face(agent, observation):
    env = gridmem.gymnax_env(agent.env_id, **agent.options | {"observation": observation})
    begin, *ends = (jax.random.split(jax.random.key(i), NUM_ENVS) for i in range(3))
    act, of_one = (agent.actor(greedy=True) for _ in range(2))
    step = jax.jit(jax.vmap(env.step))
    obs, state = jax.jit(jax.vmap(env.reset))(begin)
    for keys, end in zip([begin, *ends], [*ends, begin], strict=True):
        actions = []
        for _ in range(STEPS):
            actions.append(act(obs))
            single = of_one(jax.tree.map(lambda part: part[0], obs))
            assert isinstance(single, jax.Array)
            assert single.shape == ()
            assert single == actions[-1][0]
            # The key of the step that ends an episode is that of the next level.
            obs, state, *_ = step(end, state, actions[-1])
        levels = generated(env.core, keys)
        np.testing.assert_array_equal(np.stack(actions), expected(agent, levels))


@pytest.mark.slow
def test_a_single_gymnax_environment(agent):
    env = gridmem.gymnax_env(agent.env_id, **agent.options)
    act = agent.actor(greedy=True)
    key = jax.random.key(5)
    obs, state = env.reset(key)
    actions = []
    for _ in range(2 * STEPS):
        actions.append(act(obs))
        obs, state, *_ = env.step(key, state, actions[-1])
    assert all(isinstance(action, jax.Array) and action.shape == () for action in actions)
    wanted = expected(agent, generated(env.core, jnp.stack([key] * NUM_ENVS)))[:, 0]
    np.testing.assert_array_equal(actions, [*wanted, *wanted])


@pytest.mark.slow
def test_episodes_that_are_longer_than_those_of_the_training(agent):
    env = gymnasium.make(agent.env_id, **agent.options | {"max_steps": 5 * STEPS})
    core = env.unwrapped.core
    levels = levels_of(core, 2)
    act = agent.actor(greedy=True)
    found = [episode(env, act, options={"level": row(levels, i)}) for i in range(2)]
    np.testing.assert_array_equal(np.transpose(found), expected(agent, levels, core))


MODELS = [{"window": 5}, {"window": 1}, {"mixer": "none"}, {"qk_norm": True}, {"kv_dtype": "int8"}]


@pytest.mark.slow
@pytest.mark.parametrize("model", breadth(MODELS, {"window": 5}, {"mixer": "none"}), ids=str)
def test_other_models(model):
    agent = agent_of(tiny.config(model=model))
    env = gymnasium.make(agent.env_id, **agent.options)
    levels = levels_of(agent.env, 3)
    act = agent.actor(greedy=True)
    found = [episode(env, act, options={"level": row(levels, i)}) for i in range(3)]
    np.testing.assert_array_equal(np.transpose(found), expected(agent, levels))


@pytest.mark.slow
def test_half_precision_and_a_histogram_of_values():
    model = {"dtype": "bfloat16", "value_head": "hl_gauss", "value_bins": 11}
    agent = agent_of(tiny.config(model=model))
    levels = levels_of(agent.env, NUM_ENVS)
    rollout = jax.device_get(_played(nnx.graphdef(agent.model), agent.env, agent.params, levels))
    *_, second, best = np.sort(rollout.extras.logits).transpose(2, 0, 1)
    clear = best - second > 0.05  # what is closer, rounding to 8 bits may decide
    assert clear.mean() > 0.5
    act = agent.actor(greedy=True)
    for _ in range(4):  # the observations, again and again
        for time in range(STEPS):
            actions = act(told(row(rollout.obs, time)))
            assert (actions == rollout.action[time])[clear[time]].all()


def told(obs):
    """A batch of observations as a face would tell it."""
    parts = {**obs._asdict(), "last_reward": obs.last_reward[:, None]}
    return {name: part for name, part in parts.items() if part.size}


@pytest.mark.slow
def test_a_compass_is_heeded():
    agent = agent_of(tiny.config(env={"compass": True}, model={"num_layers": 1}))
    env = gymnasium.make(agent.env_id, **agent.options)
    level = row(levels := levels_of(agent.env, 1), 0)
    found = episode(env, agent.actor(greedy=True), options={"level": level})
    np.testing.assert_array_equal(found, expected(agent, levels)[:, 0])
    env = gymnasium.make(agent.env_id, **agent.options | {"observation": "flat"})
    flat = episode(env, agent.actor(greedy=True), options={"level": level})
    assert flat == found


def first_observation(agent, **options):
    return gymnasium.make(agent.env_id, **agent.options | options).reset(seed=0)[0]


def test_actions_are_drawn_by_the_probabilities_and_the_seed(agent):
    obs = first_observation(agent)
    num = 4096
    many = {name: np.stack([part] * num) for name, part in obs.items()}
    drawn = agent.actor()(many)
    level = gymnasium.make(agent.env_id, **agent.options).unwrapped
    level.reset(seed=0)
    levels = jax.tree.map(lambda x: x[None], level.level)
    rollout = _played(nnx.graphdef(agent.model), agent.env, agent.params, levels)
    probabilities = np.asarray(jax.nn.softmax(rollout.extras.logits[0, 0]))
    shares = np.bincount(drawn, minlength=4) / num
    assert np.abs(shares - probabilities).max() < 4 * 0.5 / num**0.5  # four deviations
    assert probabilities.max() < 0.95  # else it would say little
    np.testing.assert_array_equal(agent.actor()(many), drawn)
    assert (agent.actor(seed=1)(many) != drawn).any()
    act = agent.actor()
    assert (act(many) != act(many)).any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"observation": "view"}, "a view alone does not contain .* with observation='dict'"),
        ({"view_size": 7}, r"shape .*\(7, 7\).*; where the view is 5 x 5 and there is no compass"),
        ({"view_size": 7, "observation": "flat"}, r"has the shape \(251,\); .* it has \(131,\)"),
        ({"compass": True}, r"has the shape .*'compass': \(2,\).*there is no compass, it has"),
    ],
    ids=str,
)
def test_what_it_was_not_trained_for(agent, options, sentence):
    obs = first_observation(agent, **options)
    batch = jax.tree.map(lambda x: np.asarray(x)[None], obs)
    for given in (obs, batch, {"agent_0": obs, "agent_1": obs}, jax.tree.map(jnp.asarray, batch)):
        with pytest.raises(ValueError, match=sentence) as error:
            agent.actor()(given)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [None, (), 3, "up", {}, {"view": 3}], ids=repr)
def test_what_is_no_observation(agent, given):
    with pytest.raises(ValueError, match="the observation has the shape"):
        agent.actor()(given)


def test_what_reset_returns_as_a_whole_is_no_observation(agent):
    for observation in ("dict", "flat"):
        env = gymnasium.make(agent.env_id, **agent.options | {"observation": observation})
        with pytest.raises(ValueError, match="the observation has the shape"):
            agent.actor()(env.reset(seed=0))


def test_other_streams_need_a_word(agent):
    obs = first_observation(agent)
    two = {name: np.stack([part] * 2) for name, part in obs.items()}
    named = {"ann": obs, "bob": obs}
    act = agent.actor(greedy=True)
    first = act(obs)
    with pytest.raises(ValueError, match=r"is of a batch of 2, and .* a single environment; call"):
        act(two)
    with pytest.raises(ValueError, match="is of the agents ann, bob, and"):
        act(named)
    act.forget()
    assert act(two).tolist() == [first, first]
    with pytest.raises(ValueError, match=r"is of a single environment, and .* a batch of 2; call"):
        act(obs)
    act.forget()
    assert act(named) == {"ann": first, "bob": first}
    with pytest.raises(ValueError, match=r"is of the agents ann, and .* the agents ann, bob;"):
        act({"ann": obs})
    assert act({"bob": obs, "ann": obs}) == {"ann": first, "bob": first}


@pytest.mark.slow
def test_a_batch_may_have_any_axes(agent):
    envs = gymnasium.make_vec(agent.env_id, num_envs=NUM_ENVS, **agent.options)
    one, other = agent.actor(), agent.actor()
    obs, _ = envs.reset(seed=0)
    for _ in range(3):
        actions = one(obs)
        folded = other({name: part.reshape(2, 2, *part.shape[1:]) for name, part in obs.items()})
        np.testing.assert_array_equal(folded, actions.reshape(2, 2))
        obs, *_ = envs.step(actions)


def test_to_forget_is_to_be_new(agent):
    obs = first_observation(agent)
    many = {name: np.stack([part] * 64) for name, part in obs.items()}
    act = agent.actor(seed=2)
    drawn = [act(many) for _ in range(3)]
    act.forget()
    np.testing.assert_array_equal([act(many) for _ in range(3)], drawn)


def test_it_is_not_for_jit_and_says_so(agent):
    obs = jax.tree.map(jnp.asarray, first_observation(agent))
    act = agent.actor(greedy=True)
    act(obs)
    for transform in (jax.jit, jax.vmap):
        given = obs if transform is jax.jit else jax.tree.map(lambda x: x[None], obs)
        with pytest.raises(ValueError, match=r"which jit, vmap and scan do not allow; use"):
            transform(act)(given)
    act(obs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_32_bits(agent, seed):
    with pytest.raises(ValueError, match=rf"seed is {seed}; it must be from 0 to"):
        agent.actor(seed=seed)
