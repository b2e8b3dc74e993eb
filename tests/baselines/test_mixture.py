"""One network on several environments, and runs that begin with trained blocks."""

import json
from pathlib import Path

import foreign
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from saved_runs import rows_of, run

import gridmem
from gridmem.baselines import compare, evaluate, load, train
from gridmem.baselines.config import to_dict
from gridmem.baselines.ppo import learner as learner_module
from gridmem.baselines.ppo.method import PPO
from gridmem.baselines.ppo.settings import MixtureConfig
from gridmem.baselines.presets import preset
from gridmem.baselines.training import loop
from gridmem.baselines.training.cli import parse
from gridmem.envs.batch.mixture import Mixture, MixtureVectorEnv
from gridmem.envs.batch.seeding import seed_key

foreign.module("corridor")
CAVE, CORRIDOR = "GridMem-9x9-v0", "Corridor-v0"
IDS = f"{CAVE}+{CORRIDOR}"
SHAPE = "--num-layers 1 --width 16 --ff-width 16 --head-dim 8 --value-width 16"
SMALL = f"{SHAPE} --num-minibatches 2 --rollout-steps 6 --max-steps 16 --view-size 5 --window 6"
TINY = f"--import corridor --env-id {IDS} --num-envs 12 --shares 1 2 {SMALL}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mixture():
    """Four streams of caves and eight of corridors."""
    return Mixture((CAVE, CORRIDOR), (cave(), gridmem.make(CORRIDOR)), (4, 8))


def cave():
    return gridmem.make(CAVE, max_steps=16)


def method(env=None, **settings):
    """PPO in a mixture, by default the one above; also in some that cannot be typed."""
    ids, num_envs = (IDS, 12) if env is None else (CAVE, 8)
    shares = MixtureConfig(shares=(1.0, 2.0)) if env is None else MixtureConfig()
    settings = {"mixture": shares, "num_envs": num_envs, "rollout_steps": 6, **settings}
    config = tiny.config(env={"env_id": ids}, model={"window": 6}, method=settings)
    return PPO(config, config.make_env() if env is None else env)


@pytest.mark.slow
def test_a_mixture_of_one_equals_the_plain_run_bit_for_bit():
    plain, mixed = method(cave()), method(Mixture((CAVE,), (cave(),), (8,)))
    one, other = plain.init(), mixed.init()
    for _ in range(3):
        one, metrics = plain.update(one, 0)
        other, of_mixture = mixed.update(other, 0)
    params = mixed.member_params(other.params, CAVE)
    assert jax.tree.structure(params) == jax.tree.structure(one.params)
    for leaf, same in zip(jax.tree.leaves(one.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(leaf, same)
    assert metrics.grad_norm == of_mixture.grad_norm
    assert metrics.episodes == {
        name.removeprefix(f"{CAVE}/"): value for name, value in of_mixture.episodes.items()
    }
    for name, value in metrics.loss._asdict().items():
        assert of_mixture.loss[f"{CAVE}/{name}"] == value


@pytest.mark.slow
def test_first_ratios_are_one_where_policies_are_far_from_uniform():
    trained = method()
    state = trained.init()

    def sharper(path, leaf):
        return 30 * leaf if "action" in str(path) else leaf

    state = state._replace(params=jax.tree_util.tree_map_with_path(sharper, state.params))
    for _ in range(3):
        state, metrics = trained.update(state, 0)
        assert metrics.first_ratio_error <= 1e-5
        assert metrics.loss[f"{CORRIDOR}/entropy"] > 0


@pytest.mark.slow
def test_streams_belong_to_their_environments():
    env = mixture()
    batch = MixtureVectorEnv(env)
    assert batch.num_envs == 12
    seeds = jnp.asarray([seed_key(seed) for seed in range(12)])
    state, timestep = jax.jit(batch.reset)(seeds)
    assert [len(obs.last_action) for obs in timestep.obs] == [4, 8]
    assert timestep.reward.shape == timestep.time.shape == (12,)
    # Walls for the first four, whose agents do not move; the others go forward.
    action = jnp.asarray([0] * 4 + [1] * 8, jnp.int32)
    state, timestep = jax.jit(batch.step)(state, action)
    assert timestep.obs[1].last_action.tolist() == [1] * 8
    assert state[1].envs.position.tolist() == [1] * 8
    parts = env.split(jnp.arange(12))
    assert [part.tolist() for part in parts] == [list(range(4)), list(range(4, 12))]


@pytest.mark.slow
def test_each_minibatch_has_all_environments(monkeypatch):
    sizes = []
    original = learner_module.ppo_loss

    def recording(logits, value_losses, batch, config):
        sizes.append((logits.shape[0], logits.shape[-1], config.gamma, config.entropy_coef))
        return original(logits, value_losses, batch, config)

    monkeypatch.setattr(learner_module, "ppo_loss", recording)
    settings = MixtureConfig(shares=(1.0, 2.0), gammas=(0.5, 0.75), entropy_coefs=(0.25, 0.125))
    trained = method(mixture=settings, num_minibatches=4)
    jax.eval_shape(lambda state: trained.update(state, 0), trained.init())
    assert set(sizes) == {(1, 4, 0.5, 0.25), (2, 6, 0.75, 0.125)}


@pytest.mark.slow
def test_values_are_discounted_and_advantages_scaled_by_environment():
    settings = MixtureConfig(shares=(1.0, 2.0), gammas=(0.5, 0.0), td_lambdas=(1.0, 0.5))
    trained = method(mixture=settings)
    state, env, config = trained.init(), trained.source, trained.config
    model = trained.model(state.params)
    key = jax.random.key(3)
    experience = learner_module.collect(config, env, model, state.rollout_state, key, key)
    batches = learner_module.make_batches(config, env, experience)
    rewards = env.split(experience.rollout.reward, axis=1)
    assert [batch.transitions.valid.shape for batch in batches] == [(4, 6), (8, 6)]
    of_corridor = batches[1].transitions
    wanted = np.where(of_corridor.valid, rewards[1].T, of_corridor.value)
    np.testing.assert_allclose(of_corridor.target, wanted, atol=1e-6)  # nothing of the future
    for batch in batches:
        of_valid = np.asarray(batch.transitions.advantage)[np.asarray(batch.transitions.valid)]
        assert abs(of_valid.mean()) < 1e-5
        assert of_valid.std() == pytest.approx(1, abs=1e-2)


@pytest.mark.slow
def test_a_run_of_a_mixture_is_like_any_other(capfd):
    """Stopped and resumed, evaluated, compared and loaded."""
    words = f"{TINY} --checkpoint-seconds 0 --total-steps 600"
    assert run(train, capfd, f"{words} --eval-levels 8 --run-dir a")[0] == 0
    original, calls = loop.update_seeds, []

    class Killed(BaseException):
        pass

    def update(*args):
        calls.append(args)
        if len(calls) == 4:
            raise Killed
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "update_seeds", update)
        with pytest.raises(Killed):
            train.main(f"{words} --eval-levels 8 --run-dir b".split())
    capfd.readouterr()
    code, out, err = run(train, capfd, "--import corridor --resume b")
    assert (code, err) == (0, "")
    assert f"33% {CAVE}, 67% {CORRIDOR}" in out
    assert rows_of("b") == rows_of("a")
    row = rows_of("a")[-1]
    assert {f"{CAVE}/entropy", f"{CORRIDOR}/entropy", f"{CORRIDOR}/episode_length"} <= row.keys()
    assert max(row["first_ratio_error"] for row in rows_of("a")) <= 1e-5
    results = json.loads(Path("a/evaluation.json").read_text())["rows"]
    assert [(row["env_id"], row["player"]) for row in results] == [
        (id, player) for id in (CAVE, CORRIDOR) for player in ("sampled", "greedy", "random")
    ]
    code, out, err = run(evaluate, capfd, "a --import corridor --levels 8")
    assert code == 0
    assert f"a, {CAVE}" in out
    assert f"a, {CORRIDOR}" in out
    assert run(compare, capfd, "a b --import corridor")[0] == 0
    agent = load("a")
    assert list(agent.members) == [CAVE, CORRIDOR]
    with pytest.raises(ValueError, match=f"trained in {CAVE}, {CORRIDOR}; take that of one"):
        agent.policy()
    in_cave = agent.members[CAVE]
    assert in_cave.model.num_actions == 4
    assert in_cave.policy(greedy=True).init(2) is not None
    assert run(train, capfd, f"{words} --eval-levels 8 --num-seeds 2 --run-dir s")[0] == 0
    assert set(json.loads(Path("s/evaluation.json").read_text())["over_seeds"]) == {CAVE, CORRIDOR}


@pytest.mark.slow
def test_the_agent_of_an_environment_computes_what_the_mixture_does():
    trained = method()
    state = trained.init()
    timestep = state.rollout_state.runner.timestep
    model = trained.model(state.params)
    segment = jnp.ones(12, jnp.int32)
    logits, value, _ = model.step(timestep.obs, model.init_cache(12, 1, True), segment)
    for number, (id, of_env) in enumerate(zip((CAVE, CORRIDOR), logits, strict=True)):
        member = trained.members[id]
        own = member.model(trained.member_params(state.params, id))
        size = len(of_env)
        caches = own.init_cache(size, 1, True)
        alone, of_alone, _ = own.step(timestep.obs[number], caches, segment[:size])
        np.testing.assert_allclose(alone, of_env, atol=1e-6)
        part = trained.source.split(value)[number]
        np.testing.assert_allclose(of_alone, part, atol=1e-6)


@pytest.mark.slow
def test_a_run_begins_with_the_trained_blocks_that_fit(capfd):
    assert run(train, capfd, f"{TINY} --total-steps 300 --eval-levels 0 --run-dir a")[0] == 0
    source = load("a")
    solo = f"{SMALL} --num-envs 8 --total-steps 48 --eval-levels 0 --learning-rate 1e-12"
    larger = f"--env-id GridMem-13x13-v0 {solo} --import corridor --init-from a"
    code, out, err = run(train, capfd, f"{larger} --run-dir fitting")
    assert (code, err) == (0, "")
    assert "initial      from a/agent.safetensors: 1 block, action, final_norm.scale" in out
    assert "fresh" not in out, out
    of_cave = jax.tree.leaves(source.members[CAVE].params)
    for one, other in zip(of_cave, jax.tree.leaves(load("fitting").params), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    code, out, _ = run(train, capfd, f"{larger} --init-parts blocks --run-dir blocks --num-seeds 2")
    assert code == 0
    assert "1 block, final_norm.scale; fresh: action, reward, value_bias" in out
    begun = load("blocks/seed-1").params
    np.testing.assert_allclose(
        jax.tree.leaves(begun["blocks"])[0], jax.tree.leaves(source.params["blocks"])[0], atol=1e-5
    )
    assert not np.allclose(begun["action"][...], source.members[CAVE].params["action"][...])
    code, out, _ = run(train, capfd, f"{TINY} --init-from fitting --total-steps 72 --run-dir m")
    assert code == 0
    assert "members.0.view" in out
    assert "fresh: members.1.action" in out
    code, _, err = run(train, capfd, f"{larger} --width 32 --run-dir none")
    assert code == 2
    assert err.startswith("error: the blocks in a/agent.safetensors do not fit: their width is 16")
    assert not Path("none").exists()
    code, _, err = run(train, capfd, f"{solo} --init-from nowhere")
    assert (code, err.startswith("error: there is no run folder, file or released agent")) == (2, 1)


BAD = {
    "rollout": (f"--env-id {IDS}", "error: a mixture needs --rollout-steps, for example 64\n"),
    "shares": (
        f"{TINY} --shares 1 1.5",
        f"error: the share of {CAVE} is 4.8 of 12 streams; it must be a whole number of them: "
        "change --shares or --num-envs\n",
    ),
    "too few shares": (
        f"{TINY} --shares 1",
        "error: shares has 1 number; it must have one for each of the 2 environments\n",
    ),
    "agents": (
        f"{TINY} --num-agents 3",
        f"error: {CAVE} has 4 streams of the mixture and 3 agents; the first must be a multiple of "
        "the second: change --shares or --num-envs\n",
    ),
    "minibatches": (
        f"{TINY} --num-minibatches 3",
        f"error: num_minibatches is 3; it must divide the 4 streams of {CAVE}, so that each "
        "minibatch has all environments\n",
    ),
    "twice": (
        f"--env-id {CAVE}+{CAVE}",
        f"error: '{CAVE}' is in the mixture twice; name each environment once\n",
    ),
    "no mixture": (
        "--gammas 0.9 0.9",
        "error: shares, gammas, td_lambdas and entropy_coefs are for a mixture of environments; "
        f"join ids by '+', as --env-id {CAVE}+GridMem-13x13-v0\n",
    ),
    "gamma": (f"{TINY} --gammas 0.9 2", "error: gamma is 2.0; it must be from 0 to 1\n"),
    "unknown": (
        f"--env-id {CAVE}+Corridors-v0 --rollout-steps 6",
        "error: there is no environment 'Corridors-v0' (did you mean 'Corridor-v0'?)",
    ),
    "pixels": (
        "--env-id Craftax-Pixels-v1",
        "error: Craftax-Pixels-v1 has pixels for observations, and GridMem has the symbolic ones: "
        "Craftax-Symbolic-v1\n",
    ),
    "method": (
        f"reinforce --import reinforce {TINY.partition('--num-envs')[0]}",
        "error: reinforce learns in one environment; a mixture is for ppo\n",
    ),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_mixtures_are_refused_in_one_sentence(words, capfd):
    typed, sentence = BAD[words]
    if words == "method":
        foreign.module("reinforce")
    code, _, err = run(train, capfd, f"{typed} --import corridor")
    assert code == 2
    assert err.startswith(sentence), err
    assert err.count("\n") == 1


def test_numbers_of_a_preset_are_those_of_its_own_ids():
    mixed = to_dict(preset("mixture-ladder"))
    mixed["method"]["mixture"]["gammas"] = [0.9, 0.95, 0.99]
    Path("mixed.json").write_text(json.dumps(mixed))
    assert parse(["mixed.json"], "train").config.ppo.mixture.gammas == (0.9, 0.95, 0.99)
    other = parse(["mixed.json", "--env-id", CAVE], "train").config
    assert other.ppo.mixture == MixtureConfig()
