"""Methods that learn from recorded play: policies, losses, runs."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import recordings
from breadth import breadth
from flax import nnx
from recordings import SHORT

import gridmem
from gridmem.baselines import load
from gridmem.baselines.collect import main as collect
from gridmem.baselines.config import (
    EnvSettings,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
)
from gridmem.baselines.decision_transformer import main as learn
from gridmem.baselines.offline.datasets import cut, transitions
from gridmem.baselines.offline.settings import DecisionTransformerConfig, TD3BCConfig
from gridmem.baselines.offpolicy.replay_buffer import Batch
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.train import main as train
from gridmem.baselines.training.loop import Run
from gridmem.envs.batch.policy import Policy
from gridmem.render.play import main as show

MODEL = ModelConfig(
    mixer="gru", num_layers=1, width=8, ff_width=8, num_heads=1, num_kv_heads=1, head_dim=8
)
SMALL = {"batch_size": 4, "update_steps": 2}


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    with recordings.folder(tmp_path_factory.mktemp("datasets")) as path:
        recordings.make(recordings.PENDULUM, **SHORT)
        recordings.make(recordings.CAVE, "GridMem-9x9-v0", number=8, max_steps=12)
        yield path


def config(name=recordings.PENDULUM, model=MODEL, total=None, **settings):
    id = "Pendulum-v1" if name == recordings.PENDULUM else "GridMem-9x9-v0"
    settings = {"context": 3, **SMALL, **settings}
    method = DecisionTransformerConfig(dataset=name, **settings)
    return TrainConfig(
        env=EnvSettings(id, options=SHORT),
        model=model,
        method=method,
        optimizer=OptimizerConfig(learning_rate=1e-2),
        total_steps=total or 6 * method.steps_per_update(None),
        eval_levels=4,
    )


def watching(policy):
    """The same policy; what it was asked for is recorded."""

    def act(memory, timestep, key):
        out = policy.act(memory, timestep, key)
        return out._replace(extras=out.carry.return_to_go)

    return Policy(policy.init, act, policy.grow, policy.context, policy.keep)


LAYOUTS = [
    ("attention", 3, 12, "-20"),
    *(("attention", 1, 3, "auto"), ("gru", 1, 3, "-20"), ("gru", 3, 12, "auto")),
    *(("lstm", 3, 3, "auto"), ("linear", 1, 12, "-20"), ("gla", 3, 12, "-20")),
    ("none", 1, 3, "auto"),
]


@pytest.mark.parametrize(
    ("mixer", "tokens", "context", "target"), breadth(LAYOUTS, ("attention", 3, 12, "-20"))
)
def test_stepping_equals_the_full_pass(mixer, tokens, context, target):
    model = replace(MODEL, mixer=mixer, num_layers=2)
    method = config(model=model, tokens=tokens, context=context, target=target).make_method()
    params = jax.jit(method.init)().networks
    # Larger outputs than those of a new network, so that actions differ.
    params.actor["out"][...] = 30 * params.actor["out"][...]
    params.predictor["out"][...] = 30 * params.predictor["out"][...]
    env = method.env
    levels = jax.vmap(env.generate)(jax.random.split(jax.random.key(0), 2))

    @jax.jit
    def both(params, levels):
        policy = watching(method.policy(params._asdict()))
        rollout = gridmem.play(env, policy, levels, jax.random.key(0)).rollout
        num_steps, batch = rollout.reward.shape
        none = jnp.zeros((1, batch), jnp.float32)

        def by_stream(x):
            last = jnp.zeros_like(x[:1])
            return jnp.swapaxes(jnp.concatenate([x, last]), 0, 1).reshape(-1, *x.shape[2:])

        time = jnp.broadcast_to(jnp.arange(num_steps)[:, None], (num_steps, batch))
        rows = method.source.rows._replace(
            obs={"observation": by_stream(rollout.obs.observation)},
            action=by_stream(rollout.action / 2),
            reward=by_stream(rollout.reward),
            time=by_stream(time.astype(jnp.int32)),
            return_to_go=by_stream(rollout.extras),
        )
        ends = (jnp.arange(batch)[:, None] * (num_steps + 1) + jnp.arange(num_steps)[None]).reshape(
            -1
        )
        windows = cut(rows, env.actions, ends.astype(jnp.int32), context)
        steps = method.normalized(params, windows.steps)
        outputs = nnx.merge(method.actor_def, params.actor).sequence(steps, windows.valid)
        expected = jnp.tanh(outputs[:, -1]).reshape(batch, num_steps, 1)
        said = nnx.merge(method.predictor_def, params.predictor).sequence(steps, windows.valid)
        said = said[:, -1, 0].reshape(batch, num_steps) * params.scale
        left = -20 - jnp.cumsum(jnp.concatenate([none, rollout.reward[:-1]]), axis=0)
        asked = jnp.swapaxes(said, 0, 1) if target == "auto" else left
        return rollout.action / 2, jnp.swapaxes(expected, 0, 1), rollout.extras, asked

    action, expected, asked, wanted = both(params, levels)
    np.testing.assert_allclose(action, expected, atol=2e-5)
    np.testing.assert_allclose(asked, wanted, rtol=1e-4, atol=1e-4)
    assert np.std(action) > 1e-3


def test_the_loss_of_the_expectile_by_hand():
    method = config(expectile=0.9).make_method()
    networks = jax.jit(method.init)().networks

    @jax.jit
    def both(networks, rows):
        windows = cut(rows, method.env.actions, jnp.array([5, 20], jnp.int32), 3)
        steps = method.normalized(networks, windows.steps)
        said = nnx.merge(method.predictor_def, networks.predictor).sequence(steps, windows.valid)
        _, metrics = method.loss(networks, windows)
        return steps.return_to_go - said[..., 0], windows.valid, metrics["expectile_loss"]

    missed, valid, loss = map(np.asarray, both(networks, method.source.rows))
    by_hand = np.where(missed > 0, 0.9, 0.1) * missed**2
    assert float(loss) == pytest.approx(by_hand[valid].mean(), rel=1e-4)


def test_the_actor_of_td3_bc_by_hand():
    method = td3bc().make_method()
    state = jax.jit(method.init)()

    @jax.jit
    def both(networks, rows):
        ends = jnp.array([0, 5, 20], jnp.int32)
        batch = Batch(*transitions(rows, ends, method.settings.context))
        _, loss = method.step_actor(method.actor_def, networks, batch)
        action = jnp.tanh(nnx.merge(method.actor_def, networks.actor)(batch.window))
        value = nnx.merge(method.critics_def, networks.critics).first(batch.window, action)
        return loss, action, batch.action, value

    loss, action, wanted, value = both(state.networks, method.source.rows)
    expected = np.mean((action - wanted) ** 2) - 2.5 * np.mean(value) / np.mean(np.abs(value))
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


def td3bc(**changes):
    settings = {"batch_size": 4, "update_steps": 4, "critic_width": 8, "critic_layers": 1}
    method = TD3BCConfig(dataset=recordings.PENDULUM, **settings, **changes)
    model = ModelConfig(mixer="none", num_layers=1, width=8)
    return TrainConfig(
        env=EnvSettings("Pendulum-v1", options=SHORT),
        model=model,
        method=method,
        total_steps=96,
        eval_levels=4,
    )


CONFIGS = {
    "dt in caves": lambda: config(recordings.CAVE, context=12, tokens=1),
    "bc10": lambda: config(algorithm="bc10"),
    "td3bc": td3bc,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_resumed_run_equals_one_that_never_stopped(name, tmp_path, monkeypatch):
    plain = replace(CONFIGS[name](), checkpoint_seconds=0.0, eval_levels=0)

    def run(folder):
        one = replace(plain, run_dir=str(folder))
        if (folder / "checkpoint").exists():
            return Run.resumed("small", one, "resume").run()
        return Run.new("small", one, "resume", "").run()

    assert run(tmp_path / "straight") == 0
    saves, save = [], Run._save

    def dying(self, steps):
        path = save(self, steps)
        saves.append(steps)
        if len(saves) == 3:
            raise KeyboardInterrupt
        return path

    monkeypatch.setattr(Run, "_save", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed")
    assert run(tmp_path / "resumed") == 0
    states = []
    for each in ("straight", "resumed"):
        like = plain.make_method().init()
        state = checkpoint.load(tmp_path / each / "checkpoint", like)
        states.append(jax.device_get(state._replace(key=jax.random.key_data(state.key))))
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert load(tmp_path / "resumed").env == plain.make_env()


@pytest.mark.slow
def test_a_dataset_to_a_picture(tmp_path, capsys):
    words = "--width 8 --ff-width 8 --num-layers 1 --head-dim 8 --batch-size 4 --eval-levels 4"
    folder = tmp_path / "run"
    words = [recordings.CAVE, *words.split(), "--gradient-steps", "200", "--num-seeds", "2"]
    assert learn([*words, "--target", "auto,0,3", "--run-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "warning      with fewer than 50 episodes" in out
    assert "warning: " in out
    assert "the target 3 is outside of the data's returns" in out
    assert "highest: " in out
    folder = folder / "seed-1"
    found = json.loads((folder / "target_returns.json").read_text())
    assert [each["target"] for each in found[:-1]] == ["auto", "auto", "0", "0", "3", "3"]
    assert found[-1]["levels"] == "test"
    picture = folder / "target_returns.png"
    assert picture.stat().st_size > 10_000
    picture.unlink()
    assert learn(["--resume", str(folder.parent), "--target", "0"]) == 0  # it plays again
    assert picture.exists()
    assert len(json.loads((folder / "target_returns.json").read_text())) == 3
    capsys.readouterr()
    for more in (["--algorithm", "bc"], ["--seed", "3"], [recordings.CAVE]):
        assert learn([*more, "--resume", str(folder.parent)]) == 2
        assert "a run is resumed with the settings" in capsys.readouterr().err
    agent = load(folder)
    assert agent.method.can_forget
    levels = jax.vmap(agent.env.generate)(jax.random.split(jax.random.key(0), 2))
    forgetful = agent.method.forgetful_policy(agent.params)
    rollout = gridmem.play(agent.env, forgetful, levels, jax.random.key(1)).rollout
    assert rollout.reward.shape == (12, 2)
    frames = tmp_path / "frames"
    assert show(["--agent", str(folder), "--frames", str(frames)]) == 0
    assert len(list(frames.iterdir())) == 13


@pytest.mark.slow
def test_datasets_of_a_cave(capsys):
    import minari

    words = ["GridMem-9x9-v0", "--episodes", "3", "--prefix", "caves", "--set", "max_steps=12"]
    assert collect(words) == 0  # no agent is released for short episodes
    lines = capsys.readouterr().out.splitlines()
    names = [f"caves/GridMem-9x9-v0/{name}-v0" for name in ("random", "reactive", "oracle")]
    assert [line.split(":")[0] for line in lines] == names
    assert minari.load_dataset(names[2]).total_steps == 36
    page = Path(lines[2].split(": ")[1]).read_text()
    words = "collect GridMem-9x9-v0 oracle --episodes 3 --prefix caves --set max_steps=12"
    assert words in page
    assert collect(["GridMem-9x9-v0", "oracle", "--prefix", "caves", "--set", "max_steps=12"]) == 2
    assert "there is a dataset caves/GridMem-9x9-v0/oracle-v0 already" in capsys.readouterr().err


OF_SHORT_EPISODES = ["--prefix", "caves", "--set", "max_steps=12"]
BAD = {
    "no dataset": (learn, [], "name a dataset before all options"),
    "options first": (learn, ["--mixer", "gru", recordings.CAVE], "name a dataset before all"),
    "unknown": (learn, ["test/none-v0"], "there is no dataset 'test/none-v0' here"),
    "algorithm": (learn, [recordings.CAVE, "--algorithm", "dr"], "algorithm"),
    "tokens": (learn, [recordings.CAVE, "--tokens", "2"], "tokens is 2; it must be 1 or 3"),
    "target": (learn, [recordings.CAVE, "--target", "high"], "it must be auto or a number"),
    "no target": (
        learn,
        [recordings.CAVE, "--algorithm", "bc", "--target", "3"],
        "--target is for dt, and the algorithm is bc",
    ),
    "context": (learn, [recordings.CAVE, "--context", "13"], "context is 13, longer than an"),
    "steps": (learn, [recordings.CAVE, "--gradient-steps", "250"], "a multiple of 100"),
    "plan": (learn, [recordings.CAVE, "--plan"], "--plan is for gridmem.baselines.train"),
    "discrete": (learn, [recordings.CAVE, "--algorithm", "td3bc"], "td3bc needs continuous"),
    "place": (learn, [recordings.CAVE, "quickstart"], "quickstart"),
    "other options": (
        learn,
        [recordings.CAVE, "--max-steps", "16"],
        "it is of GridMem-9x9-v0 with max_steps 12, and the run is of GridMem-9x9-v0 with other",
    ),
    "of playing": (
        train,
        ["td3bc", "--dataset", "x", "--buffer", "999"],
        "buffer is for agents that play",
    ),
    "other environment": (
        train,
        ["td3bc", "--dataset", recordings.CAVE],
        "it is of GridMem-9x9-v0 with max_steps 12, and the run is of Pendulum-v1",
    ),
    "a mixture": (collect, ["GridMem-9x9-v0+GridMem-13x13-v0"], "of one environment"),
    "unknown kind": (collect, ["GridMem-9x9-v0", "best"], "best"),
    "no prefix": (collect, ["GridMem-9x9-v0", "--set", "compass=true"], "another --prefix"),
    "no agent": (
        collect,
        ["GridMem-9x9-v0", "expert", *OF_SHORT_EPISODES],
        "expert needs a trained agent, and none is released",
    ),
    "no recipe": (collect, ["GridMem-Dig-v0", "mixed"], "mixed needs the training of an agent"),
    "unknown id": (collect, ["Craftax-Classic-v9"], "Craftax-Classic-v9"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, capsys):
    program, words, sentence = BAD[case]
    assert program(words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "words", "flags"),
    [
        (learn, ["--help"], ("--algorithm", "--target", "10 % of the episodes")),
        (learn, [recordings.CAVE, "--help-all"], ("--tokens", "--expectile", "--mixer")),
        (collect, ["--help"], ("--episodes", "--run", "medium-replay")),
    ],
)
def test_help(program, words, flags, capsys):
    with pytest.raises(SystemExit) as exit:
        program(words)
    assert exit.value.code == 0
    out = capsys.readouterr().out
    assert all(flag in out for flag in flags)
