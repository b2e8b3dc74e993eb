"""Seeds that are trained side by side are what they are alone."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from gridmem.baselines.agent import load
from gridmem.baselines.config import from_dict, to_dict
from gridmem.baselines.costs.advice import advice
from gridmem.baselines.costs.plan import plan
from gridmem.baselines.ppo.learner import UpdateMetrics, update
from gridmem.baselines.runs.history import named
from gridmem.baselines.training import loop as training
from gridmem.baselines.training import seeds as seeds_module
from gridmem.baselines.training.loop import Run
from gridmem.baselines.training.seeds import init_seeds, seed_slice, update_seeds

NUM_UPDATES = 2
CONFIG = tiny.config(seed=3, num_seeds=2, total_steps=NUM_UPDATES * 8 * 16, model={"num_layers": 1})


@pytest.fixture(scope="module")
def alone():
    """The learner and the metrics of each seed by itself after each update."""
    env, first, ends = CONFIG.make_env(), CONFIG.seed_configs[0], []
    for config in CONFIG.seed_configs:
        graphdef, learner = tiny.start(config)
        metrics = []
        for _ in range(NUM_UPDATES):
            learner, of_update = update(first, env, graphdef, learner)  # compiled once
            metrics.append(of_update)
        ends.append((tiny.host(learner), tiny.host(metrics)))
    return ends


def test_configs_have_the_seeds_one_after_the_other():
    assert [config.seed for config in CONFIG.seed_configs] == [3, 4]
    assert {replace(config, seed=0) for config in CONFIG.seed_configs} == {
        replace(CONFIG, seed=0, num_seeds=1)
    }
    assert tiny.CONFIG.seed_configs == [tiny.CONFIG]


# In turn, as on every CPU, is how the seeds of `run` are trained.
@pytest.mark.slow
@pytest.mark.parametrize("in_turn", [True, False], ids=["in turn", "at once"])
def test_side_by_side_they_are_what_they_are_alone(in_turn, alone, monkeypatch):
    monkeypatch.setattr(seeds_module, "_sequential", lambda: in_turn)
    seeds_module._update_each.clear_cache()
    method = tiny.ppo(CONFIG)
    learner = init_seeds(method)
    metrics = []
    for _ in range(NUM_UPDATES):
        learner, of_update = update_seeds(method, learner, 0)
        metrics.append(of_update)
    seeds_module._update_each.clear_cache()
    for number, expected in enumerate(alone):
        mine = tiny.host(seed_slice((learner, metrics), CONFIG, number))
        pairs = list(zip(mine, [*expected[0], *expected[1]], strict=True))
        assert pairs
        for x, y in pairs:
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    assert any(not np.array_equal(*pair) for pair in zip(alone[0][0], alone[1][0], strict=True))


class Killed(BaseException):
    """What nothing of the program catches."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that died before its evaluation and was resumed."""
    folder = tmp_path_factory.mktemp("seeds") / "run"
    settings = {**to_dict(CONFIG), "run_dir": str(folder), "checkpoint_seconds": 0.0}
    config = from_dict(json.loads(json.dumps(settings)))
    with pytest.MonkeyPatch.context() as patch:

        def dying(*args):
            raise Killed

        patch.setattr(training, "evaluate_run", dying)
        with pytest.raises(Killed):
            Run.new("tiny", config, "resume", "compare").run()
    assert Run.resumed("run", config, "resume").run() == 0
    return folder


@pytest.mark.slow
def test_each_seed_has_a_run_folder_of_its_own(run, alone):
    for (params, metrics), config in zip(alone, CONFIG.seed_configs, strict=True):
        folder = run / f"seed-{config.seed}"
        agent = load(folder)
        assert replace(agent.config, checkpoint_seconds=60.0) == config
        for mine, other in zip(tiny.host(agent.params), params, strict=False):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert len(rows) == NUM_UPDATES
        assert rows[-1]["grad_norm"] == pytest.approx(float(alone_norm(metrics)), rel=1e-4)
        assert {path.name for path in folder.iterdir()} == {
            "agent.safetensors",
            "config.json",
            "curve.png",
            "evaluation.json",
            "metrics.jsonl",
            "tensorboard",
        }


NAMES = [
    *("episode_return", "first_find_steps", "found_again", "memory_gain", "num_episodes"),
    *UpdateMetrics._fields[1:],
]
"""Of an update's metrics; those of episodes, a dict, are sorted."""


def alone_norm(metrics):
    """`grad_norm` of the last update."""
    per_update = len(metrics) // NUM_UPDATES
    return metrics[-per_update:][NAMES.index("grad_norm")]


@pytest.mark.slow
def test_a_run_has_the_results_of_all_seeds(run):
    together = json.loads((run / "evaluation.json").read_text())
    assert [(row["agent"], row["player"]) for row in together["rows"]] == [
        *((f"seed-{seed}", player) for seed in (3, 4) for player in ("sampled", "greedy")),
        ("", "random"),
    ]
    for seed in (3, 4):
        alone = json.loads((run / f"seed-{seed}" / "evaluation.json").read_text())
        agents = (f"seed-{seed}", "")
        assert alone["rows"] == [row for row in together["rows"] if row["agent"] in agents]
    returns = [row["episode_return"] for row in together["rows"] if row["player"] == "sampled"]
    statistics = together["over_seeds"]["sampled"]
    assert statistics["mean"]["episode_return"] == pytest.approx(sum(returns) / 2)
    # Of two numbers the standard error of the mean is half their distance.
    error = statistics["standard_error"]["episode_return"]
    assert error == pytest.approx(abs(returns[0] - returns[1]) / 2)
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_run_of_seeds_stands_for_them_in_tables_and_is_no_agent(run):
    assert named([str(run)]) == {
        "run/seed-3": str(run / "seed-3"),
        "run/seed-4": str(run / "seed-4"),
    }
    assert list(named([str(run / "seed-4")])) == ["run/seed-4"]
    with pytest.raises(ValueError, match=r"is a run of 2 seeds; name one, as .*run/seed-3"):
        load(run)


@pytest.mark.slow
def test_seeds_are_resumed_together(run):
    sentence = r"has one seed of a run; resume all of them: --resume .*run$"
    with pytest.raises(ValueError, match=sentence):
        Run.resumed("seed-3", replace(CONFIG, run_dir=str(run / "seed-3")), "resume")


def test_the_plan_counts_the_seeds():
    one, two = plan(replace(CONFIG, num_seeds=1)), plan(CONFIG)
    assert two.memory.parameters == 2 * one.memory.parameters
    assert two.memory.optimizer == 2 * one.memory.optimizer
    num_concurrent = seeds_module.num_concurrent(CONFIG)
    assert two.memory.activations == num_concurrent * one.memory.activations
    assert advice(replace(CONFIG, num_seeds=9), "rollout", lambda c: c.num_seeds <= 3) == (
        "lower --num-seeds to 2"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_seeds": 0}, "num_seeds is 0; it must be a whole number above 0"),
        ({"seed": 2**32 - 1, "num_seeds": 2}, "it must be from 0 to 2\\*\\*32 - 2 \\(num_seeds\\)"),
    ],
)
def test_numbers_of_seeds_that_cannot_be(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny.config(**changes)


@pytest.mark.slow
def test_a_seed_whose_numbers_end_is_named(monkeypatch, tmp_path, capfd):
    original, tracked = training.update_seeds, []

    def broken(*args):
        learner, metrics = original(*args)
        worse = metrics.grad_norm.at[1].set(jax.numpy.nan)
        return learner, metrics._replace(grad_norm=worse)

    def no_trackers(config, folder, name, steps):
        tracked.append(name)
        return []

    monkeypatch.setattr(training, "update_seeds", broken)
    monkeypatch.setattr(training, "open_trackers", no_trackers)
    config = replace(CONFIG, run_dir=str(tmp_path / "run"))
    assert Run.new("tiny", config, "resume", "compare").run() == 1
    assert "stopped: grad_norm of seed 4 is no longer a finite number" in capfd.readouterr().out
    assert tracked == ["run-seed-3", "run-seed-4"]
