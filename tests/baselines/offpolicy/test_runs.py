import json

import jax
import numpy as np
import pytest
import small

import gridmem
from gridmem.baselines import load
from gridmem.baselines.accelerate import main as accelerate
from gridmem.baselines.offpolicy.replay_buffer import sample
from gridmem.baselines.train import main as train
from gridmem.baselines.training.loop import Run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["td3", "accelerator"])
def test_a_resumed_run_equals_one_that_never_stopped(name, tmp_path, monkeypatch):
    config = small.config(name, checkpoint_seconds=0.0)
    assert small.run(config, tmp_path / "straight") == 0
    saves, save = [], Run._save

    def dying(self, steps):
        path = save(self, steps)
        saves.append(steps)
        if len(saves) in (2, 4):
            raise KeyboardInterrupt
        return path

    monkeypatch.setattr(Run, "_save", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            small.run(config, tmp_path / "resumed")
    assert small.run(config, tmp_path / "resumed") == 0
    assert small.rows_of(tmp_path / "resumed") == small.rows_of(tmp_path / "straight")
    states = [small.state_of(config, tmp_path / each) for each in ("straight", "resumed")]
    jax.tree.map(np.testing.assert_array_equal, *states)
    agent = load(tmp_path / "resumed")
    assert agent.env == gridmem.make("Pendulum-v1", **config.env.options)
    rows = json.loads((tmp_path / "resumed" / "evaluation.json").read_text())["rows"]
    assert [row["player"] for row in rows] == ["sampled", "greedy", "random"]


def test_the_time_limit_does_not_end_the_bootstrap_and_the_last_observation_is_kept():
    method = small.config("td3").make_method()
    state, _ = method.update(jax.jit(method.init)(), 0)
    data, number = jax.device_get(state.buffer.data), int(state.buffer.added)
    time = data.time[:number, 0]
    assert time.tolist() == [*range(15), *range(5)]
    assert not data.terminated.any()
    obs, following = (each["observation"][:number, 0] for each in (data.obs, data.next_obs))
    np.testing.assert_array_equal(following[:14], obs[1:15])
    assert not np.array_equal(following[14], obs[15])  # which is of another episode
    # One step of the pendulum turns it by at most 8 rad/s * 0.05 s.
    angles = np.unwrap([np.arctan2(each[14][1], each[14][0]) for each in (obs, following)])
    assert abs(angles[1] - angles[0]) < 0.41


@pytest.mark.slow
@pytest.mark.parametrize("critics", ["fixed", "learning"])
def test_the_second_stage_begins_with_a_small_empty_buffer(critics):
    method = small.config("accelerator", stage2_critics=critics).make_method()
    state = jax.jit(method.init)()
    sizes = []
    for number in range(method.config.num_updates):
        stages = method.config.method.stages(method.config.num_updates)
        ends = np.cumsum([stage.num_updates for stage in stages])
        stage = int(np.searchsorted(ends, number, side="right"))
        if number and number == ends[stage - 1]:
            state = method.begin_stage(state, stage)
        before = jax.device_get(state.networks.td3)
        state, metrics = method.update(state, stage)
        sizes.append(int(state.buffer.num_rows))
        cloned = "clone_loss" in metrics
        assert cloned is (stage == 1)
    assert sizes == [20, 40, 60, 20, 30, 30]
    # The accelerator's own actor rests in the second stage.
    after = jax.device_get(state.networks.td3)
    jax.tree.map(np.testing.assert_array_equal, before.actor, after.actor)
    same = [
        np.array_equal(*pair)
        for pair in zip(
            jax.tree.leaves(before.critics), jax.tree.leaves(after.critics), strict=True
        )
    ]
    assert all(same) is (critics == "fixed")


@pytest.mark.slow
@pytest.mark.parametrize("ascent", [0.0, 0.1])
def test_the_clone_learns_to_act_like_the_accelerator(ascent):
    config = small.config("accelerator", learning_rate=1e-2, stage1_steps=400, ascent=ascent)
    method = config.make_method()
    state = jax.jit(method.init)()
    state, _ = method.update(state, 0)
    for _ in range(15):
        state, metrics = method.update(state, 1)
    batch = sample(state.buffer, jax.random.key(0), 60, method.settings.context)
    accelerated = method._accelerated(state.networks, batch.window)
    assert float(metrics["clone_loss"]) < 0.5 * float(accelerated.var())


@pytest.mark.slow
def test_several_environments_at_a_time():
    method = small.config("td3", num_envs=2, total_steps=60).make_method()
    state, metrics = method.update(jax.jit(method.init)(), 0)
    state, metrics = method.update(state, 1)
    assert int(state.buffer.added) == 20
    assert float(metrics["num_episodes"]) == 2
    assert float(metrics["episode_length"]) == 15


SETTINGS = ["--total-steps", "120", "--update-steps", "20", "--learning-starts", "20"]
BAD = {
    "ppo's environment": (["--env-id", "GridMem-9x9-v0"], "needs continuous actions"),
    "context 0": (["--context", "0"], "context is 0; it must be a whole number above 0"),
    "long context": (["--context", "201"], "longer than an episode"),
    "buffer below batch": (["--buffer", "32"], "it must be at least 64"),
    "buffer below context": (["--buffer", "100", "--context", "150"], "it must be at least 150"),
    "warm-up": (["--learning-starts", "120"], "it must be below total_steps"),
    "steps": (["--learning-starts", "30"], "multiple of 20"),
    "hidden": (["--set", "hide=everything"], "hide"),
    "one of two": (["--stage1-steps", "60"], "go together"),
    "teacher": (["--teacher", "GridMem-9x9-v0"], "no option '--teacher'"),
    "plan": (["--plan"], "--plan is for ppo"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, capsys):
    words, sentence = BAD[case]
    assert train(["td3", *SETTINGS, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_extending_across_stages_is_refused(tmp_path, capsys):
    config = small.config("accelerator", total_steps=40)
    assert small.run(config, tmp_path / "run") == 0
    assert train(["--resume", str(tmp_path / "run"), "--extend", "60"]) == 2
    assert "would change the stages" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--agent", "mlp"], "agent"),
        (["td3"], "preset of an accelerator"),
        (["--stage2-steps", "500", "--total-steps", "2000"], "leave out one"),
        (["--resume", "nowhere"], "is not the folder of a comparison"),
    ],
)
def test_bad_input_of_the_comparison(words, sentence, capsys):
    assert accelerate(words) == 2
    assert sentence in capsys.readouterr().err
