"""Environments, mixers and methods from outside, by what is public alone."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import cloning
import foreign
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import breadth
from saved_runs import rows_of, run

import gridmem
from gridmem.baselines import compare, evaluate, load, register_method, register_mixer, train
from gridmem.baselines.training import loop
from gridmem.render import play

corridor, reinforce = foreign.module("corridor"), foreign.module("reinforce")
TINY = "--num-layers 1 --width 16 --ff-width 16 --head-dim 8 --value-width 16 --num-envs 8"
TINY = f"--import corridor --env-id Corridor-v0 {TINY} --num-minibatches 2 --eval-levels 0"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    foreign.module("average")
    return tmp_path


class Killed(BaseException):
    """What nothing of the program catches."""


def resumed(capfd, words, steps):
    """Two runs of as many steps: a was never stopped, b was killed in its third update."""
    words = f"{words} --total-steps {steps} --checkpoint-seconds 0"
    assert run(train, capfd, f"{words} --run-dir a")[0] == 0
    original, calls = loop.update_seeds, []

    def update(*args):
        calls.append(args)
        if len(calls) == 3:
            raise Killed
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "update_seeds", update)
        with pytest.raises(Killed):
            train.main(f"{words} --run-dir b".split())
    imports = " ".join(f"--import {name}" for name in ("corridor", "average", "reinforce"))
    return run(train, capfd, f"{imports} --resume b")


def same_agents(one, other):
    pairs = zip(*(jax.tree.leaves(load(each).params) for each in (one, other)), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def has_everything(run, more=()):
    names = {"agent.safetensors", "checkpoint", "config.json", "curve.png", "evaluation.json"}
    names |= {"metrics.jsonl", "tensorboard", ".lock", *more}
    return {path.name for path in Path(run).iterdir()} <= names and Path(run, "curve.png").exists()


@pytest.mark.parametrize(
    ("mixer", "rollout"),
    breadth(
        [
            *(("attention", ""), ("attention", "--rollout-steps 5"), ("lstm", "")),
            *(("gla", "--rollout-steps 5"), ("none", ""), ("average", "--rollout-steps 5")),
        ]
    ),
)
def test_a_foreign_environment_is_trained_on_like_any_other(mixer, rollout, capfd):
    window = "--window 6" if mixer == "attention" and rollout else ""
    words = f"{TINY} --mixer {mixer} {rollout} {window} --import average"
    steps = 8 * (5 if rollout else 12) * 4
    code, out, err = resumed(capfd, words, steps)
    assert (code, err) == (0, "")
    assert "Corridor-v0: corridor of 4 cells" in out
    rows = rows_of("a")
    assert len(rows) == 4
    assert rows_of("b") == rows
    assert max(row["first_ratio_error"] for row in rows) <= 1e-5
    assert any({"episode_return", "episode_length"} <= row.keys() for row in rows)
    assert "memory_gain" not in rows[-1]
    assert same_agents("a", "b")


@pytest.mark.slow
def test_a_foreign_run_is_evaluated_compared_and_loaded(capfd):
    words = f"{TINY} --total-steps 200 --mixer none"
    assert run(train, capfd, f"{words} --run-dir a --eval-levels 16")[0] == 0
    results = json.loads(Path("a/evaluation.json").read_text())
    assert [row["player"] for row in results["rows"]] == ["sampled", "greedy", "random"]
    assert has_everything("a")
    assert run(train, capfd, f"{words} --run-dir b --seed 1")[0] == 0
    code, _, err = run(train, capfd, "--import corridor --resume b --extend 96")
    assert (code, err) == (0, "")
    code, out, err = run(evaluate, capfd, "--import corridor a b --levels 32 --out results")
    assert code == 0, err
    assert "Corridor-v0, corridor of 4 cells; 32 held-out levels" in out
    assert ("memory gain" in out, "score" in out) == (False, True)  # "no score: ..."
    assert {path.name for path in Path("results").iterdir()} == {
        "evaluation.json",
        "evaluation.png",
    }
    code, out, _ = run(compare, capfd, "--import corridor a b")
    assert code == 0
    assert "length" in out
    assert "memory gain" not in out
    agent = load("a")
    assert agent.env == corridor.Corridor()
    levels = jax.vmap(agent.env.generate)(jax.random.split(jax.random.key(0), 8))
    rollout = gridmem.play(agent.env, agent.policy(), levels, jax.random.key(1)).rollout
    assert rollout.action.shape == (12, 8)


def test_episodes_may_end_early_or_by_the_clock():
    env = gridmem.make("Corridor-v0", length=2, max_steps=6)
    levels = jax.vmap(env.generate)(jax.random.split(jax.random.key(0), 64))
    rollout = gridmem.play(env, gridmem.random_policy(6), levels, jax.random.key(1)).rollout
    by_hand = {"episode_return": [], "episode_length": []}
    for stream in range(64):
        valid = np.asarray(rollout.valid[:, stream])
        by_hand["episode_length"].append(valid.sum())
        by_hand["episode_return"].append(np.asarray(rollout.reward[:, stream])[valid].sum())
    assert len(set(by_hand["episode_length"])) > 3
    assert {-1.0, 0.0, 1.0} == set(by_hand["episode_return"])
    stats = env.stats.whole(rollout)
    assert float(stats["num_episodes"]) == 64
    for name, values in by_hand.items():
        assert float(stats[name]) == pytest.approx(np.mean(values))


def test_another_method_has_all_that_the_loop_gives(capfd):
    words = "reinforce --import corridor --import reinforce --env-id Corridor-v0 --num-envs 16"
    words += " --eval-levels 16"
    code, out, err = resumed(capfd, words, 16 * 12 * 4)
    assert (code, err) == (0, "")
    assert rows_of("a") == rows_of("b")
    assert len(rows_of("a")) == 4
    assert same_agents("a", "b")
    assert has_everything("a")
    assert "method       reinforce" in out
    seeds = f"{words} --total-steps 400 --num-seeds 2 --seed 0 --run-dir s"
    code, out, err = run(train, capfd, seeds)
    assert (code, err) == (0, "")
    assert "means over 2 seeds" in out
    assert rows_of("s/seed-0") == rows_of("a")[:3]
    assert rows_of("s/seed-0") != rows_of("s/seed-1")
    assert run(evaluate, capfd, "a s/seed-1 --levels 16 --out .")[0] == 0
    assert run(compare, capfd, "a s")[0] == 0
    help = "reinforce --import reinforce --help-all"
    with pytest.raises(SystemExit):
        train.main(help.split())
    out = capfd.readouterr().out
    assert "--step-size X" in out
    assert "--mixer" not in out
    assert "--policy-clip" not in out


@pytest.fixture
def demonstrations():
    """Observations of random play, and the action that is right without memory."""
    env = corridor.Corridor()
    levels = jax.vmap(env.generate)(jax.random.split(jax.random.key(0), 64))
    rollout = gridmem.play(env, gridmem.random_policy(6), levels, jax.random.key(1)).rollout
    obs = np.asarray(jax.vmap(cloning.features)(rollout.obs)).reshape(12 * 64, -1)
    last = np.asarray(rollout.obs.place).reshape(-1) == 2
    action = np.where(last, corridor.LEFT, corridor.FORWARD).astype(np.int32)
    np.savez("play.npz", obs=obs, action=action)


@pytest.mark.slow
@pytest.mark.usefixtures("demonstrations")
def test_a_method_may_learn_from_stored_data_in_stages(capfd):
    words = "cloning --import corridor --env-id Corridor-v0 --eval-levels 16"
    code, _, err = resumed(capfd, words, 64 * 66)
    assert (code, err) == (0, "")
    assert rows_of("a") == rows_of("b")
    losses = [row["loss"] for row in rows_of("a")]
    assert losses[0] > losses[59] > 0
    assert losses[60:] == [0] * 6  # the second stage
    assert same_agents("a", "b")
    assert float(load("a").params["scale"]) == 4
    rows = json.loads(Path("a/evaluation.json").read_text())["rows"]
    greedy = next(row for row in rows if row["player"] == "greedy")
    assert greedy["episode_length"] == 4  # straight to the end
    assert has_everything("a")
    code, _, err = run(train, capfd, "--import corridor --resume b --extend 64")
    assert (code, err) == (0, "")
    assert len(rows_of("b")) == 67
    assert run(train, capfd, f"{words} --total-steps 512 --num-seeds 2 --run-dir s")[0] == 0
    code, _, err = run(train, capfd, "--import corridor --resume s --extend 4096")
    assert (code, err) == (
        2,
        "error: --extend would change the stages of cloning that are over\n",
    )
    Path("play.npz").unlink()
    assert load("a").config.method.name == "cloning"  # an agent needs no data
    assert rows_of("s/seed-0") == rows_of("a")[:8]


@pytest.mark.slow
def test_a_method_may_step_an_environment_in_python(capfd):
    climbing = importlib.import_module("climbing")
    words = "climbing --env-id Slope-v0 --eval-levels 4"
    code, out, err = resumed(capfd, words, 9 * 40)
    assert (code, err) == (0, "")
    assert "Slope-v0: slope of 5 cells" in out
    assert rows_of("a") == rows_of("b")
    assert same_agents("a", "b")
    greedy = json.loads(Path("a/evaluation.json").read_text())["rows"][1]
    assert greedy["player"] == "greedy"
    assert greedy["episode_return"] == pytest.approx(3.5)  # from places 0 and 1 to 4
    assert load("a").params.shape == (5, 3)
    before = climbing.Slope.made
    assert run(train, capfd, f"{words} --total-steps 90 --num-seeds 2 --run-dir s")[0] == 0
    assert climbing.Slope.made - before <= 4  # one for each seed, and for what is only asked
    assert rows_of("s/seed-0") == rows_of("a")[:10]
    assert run(evaluate, capfd, "a --levels 6")[0] == 0
    code, _, err = run(train, capfd, "--env-id Slope-v0")
    assert (code, err) == (2, "error: Slope-v0 is stepped by the host, and ppo needs JAX\n")


@dataclass(frozen=True)
class Turned(gridmem.Returns):
    """Statistics of an environment's own, of what its timesteps report."""

    @property
    def columns(self):
        return (gridmem.Column("turned", "turned", 2, "share of episodes that end by a turn"),)

    def init(self, num_streams):
        return ()

    def add(self, accumulator, rollout):
        return accumulator, self.whole(rollout)

    def whole(self, rollout):
        ended = rollout.valid & (rollout.terminated | rollout.truncated)
        number = ended.sum(dtype=jnp.float32)
        turned = (ended & rollout.events["turned"]).sum(dtype=jnp.float32)
        return {"turned": turned / jnp.maximum(number, 1), "num_episodes": number}


class Reporting(corridor.Corridor):
    stats = Turned()

    def observe(self, state, action, reward, over):
        timestep = super().observe(state, action, reward, over)
        return timestep._replace(events={"turned": over[None]})


@pytest.mark.slow
@pytest.mark.parametrize("rollout", ["", "--rollout-steps 5"])
def test_an_environment_may_have_statistics_of_its_own(rollout, capfd):
    gridmem.register("Reporting-v0", Reporting)
    words = f"{TINY} --env-id Reporting-v0 {rollout} --mixer gru --total-steps 600 --run-dir a"
    assert run(train, capfd, words)[0] == 0
    shares = [row["turned"] for row in rows_of("a") if "turned" in row]
    assert 0 <= min(shares) < max(shares) <= 1


@pytest.mark.slow
def test_levels_for_evaluation_may_be_an_environments_own(capfd):
    class Fixed(corridor.Corridor):
        def evaluation_levels(self, num_levels):
            return jnp.full(num_levels, corridor.LEFT, jnp.int32)

    gridmem.register("Fixed-v0", Fixed)
    words = f"{TINY} --env-id Fixed-v0 --total-steps 200 --run-dir a"
    assert run(train, capfd, words)[0] == 0
    code, out, _ = run(evaluate, capfd, "a --levels 8")
    assert code == 0
    assert "8 test and fresh levels" in out


def nothing():
    return 7


@dataclass(frozen=True)
class Unparted(corridor.Corridor):
    parts = (gridmem.Bits("sign", (2,)), gridmem.Ids("door", (1,), 3))


@dataclass(frozen=True)
class Misshaped(corridor.Corridor):
    parts = (gridmem.Bits("sign", (3,)), gridmem.Ids("place", (1,), 3))


@dataclass(frozen=True)
class Continuous(corridor.Corridor):
    actions = gridmem.Box((-1.0,), (1.0,))

    def step(self, state, action):
        return super().step(state, jnp.zeros_like(action, jnp.int32)[:, 0])

    def observe(self, state, action, reward, over):
        timestep = super().observe(state, jnp.int32(0), reward, over)
        action = jnp.zeros((1, 1), jnp.float32)
        return timestep._replace(obs=timestep.obs._replace(last_action=action))


class Unhashable(corridor.Corridor):
    __hash__ = None


class Growing(corridor.Corridor):
    def step(self, state, action):
        state, timestep = super().step(state, action)
        return state._replace(time=state.time.astype(jnp.float32)), timestep


WRONG = {
    "Nothing-v0": (nothing, "the environment 'Nothing-v0' (int) has no 'num_agents'; docs/"),
    "Unparted-v0": (Unparted, "has observations with the fields sign, place, last_action, last_"),
    "Misshaped-v0": (Misshaped, "returns sign as bool[1, 2]; it must be bool[1, 3]"),
    "Unhashable-v0": (Unhashable, "is not hashable; make it a frozen dataclass"),
    "Growing-v0": (Growing, "returns other shapes or dtypes from step than from reset"),
    "Missing-v0": ("nowhere:Env", "is registered as 'nowhere:Env', which cannot be imported"),
    "Continuous-v0": (Continuous, "and ppo needs a finite number of actions; use another method"),
}


@pytest.mark.parametrize("id", WRONG)
def test_what_is_no_environment_is_said_in_a_sentence(id, capfd):
    factory, sentence = WRONG[id]
    gridmem.register(id, factory)
    code, _, err = run(train, capfd, f"--env-id {id} --total-steps 10")
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "words", "sentence"),
    [
        (train, "--env-id Corrido-v0", "there is no environment 'Corrido-v0' (did you mean"),
        (
            train,
            "--env-id Other-v0",
            "; others must be registered first (in a program: --import MODULE)",
        ),
        (train, "--import nowhere", "--import nowhere: it cannot be imported (No module named"),
        (train, "--env-id Corridor-v0 --set lenght=3", "has no option 'lenght' (did you mean 'len"),
        (train, "--env-id Corridor-v0 --view-size 5", "has no option 'view_size'; it has length, "),
        (train, "--mixer averag", "'averag' is not one of"),
        (train, "reinforc", "there is no preset 'reinforc' (did you mean 'reinforce'?)"),
        (train, "reinforce --plan", "--plan is for ppo, and the method is reinforce"),
        (train, "reinforce --mixer gru", "there is no option '--mixer'"),
        (train, "cloning --data none.npz", "No such file"),
        (play, "Corridor-v0", "Corridor-v0"),
    ],
)
def test_bad_input_is_said_in_a_sentence(program, words, sentence, capfd):
    code, _, err = run(program, capfd, words)
    assert code in (1, 2)
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_what_only_gridmem_has_is_refused_to_others(capfd):
    import gymnasium

    with pytest.raises(ValueError, match="there are no levels of 'Corridor-v0'"):
        gridmem.levels("Corridor-v0")
    with pytest.raises(ValueError, match=r"has no interface to other libraries; use gridmem\.make"):
        gridmem.parallel_env("Corridor-v0")
    assert "Corridor-v0" not in gridmem.CONFIGS
    assert "Corridor-v0" not in gymnasium.registry
    words = f"{TINY} --total-steps 100 --eval-levels 0 --run-dir a"
    assert run(train, capfd, words)[0] == 0
    agent = load("a")
    with pytest.raises(ValueError, match="an actor takes the observations of GridMem's"):
        agent.actor()
    for program, more, sentence in (
        (play, "--agent a --gif a.gif", "Corridor-v0"),
        (evaluate, "a --on GridMem-9x9-v0", "--on is for GridMem's environments"),
        (evaluate, "a --agents 2", "--agents is for GridMem's environments"),
    ):
        code, _, err = run(program, capfd, more)
        assert (code, err.count("\n")) == (2, 1), err
        assert sentence in err


@dataclass(frozen=True)
class Derived(reinforce.ReinforceConfig):
    mixer: int = 3


@dataclass(frozen=True)
class Other(reinforce.ReinforceConfig):
    pass


def test_a_setting_has_a_name_of_its_own(capfd):
    register_method("derived", reinforce.Reinforce, Derived)
    assert run(train, capfd, "derived --print-config")[0] == 0

    @dataclass(frozen=True)
    class Clashing(Derived):
        sections = ("model",)

    register_method("clashing", reinforce.Reinforce, Clashing)
    code, _, err = run(train, capfd, "clashing")
    assert (code, err.count("\n")) == (2, 1)
    assert "two settings have one name" in err


def test_names_that_are_taken_are_refused():
    with pytest.raises(ValueError, match="there is an environment 'GridMem-v0' already"):
        gridmem.register("GridMem-v0", corridor.Corridor)
    with pytest.raises(ValueError, match="there is a mixer 'gru' already; choose another name"):
        register_mixer("gru", corridor.Corridor)
    with pytest.raises(ValueError, match="there is a method 'ppo' already"):
        register_method("ppo", reinforce.Reinforce, Other)
    with pytest.raises(ValueError, match="ReinforceConfig has the settings of 'reinforce'"):
        register_method("other", reinforce.Reinforce, reinforce.ReinforceConfig)
    with pytest.raises(ValueError, match="they must be a dataclass"):
        register_method("other", reinforce.Reinforce, int)
    gridmem.register("Corridor-v0", corridor.Corridor)  # as before
