import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace

import jax
import matplotlib.image
import numpy as np
import pytest
import tiny
from breadth import breadth

from gridmem.baselines.config import TrainConfig, from_dict
from gridmem.baselines.runs.checkpoint import load
from gridmem.baselines.train import comparison, distributed_flags, main
from gridmem.baselines.training import loop as training
from gridmem.baselines.training.cli import parse
from gridmem.baselines.training.signals import StopSignal

NUM_UPDATES = 10
METRICS = [
    "steps",
    "seconds",
    "episode_return",
    "first_find_steps",
    "found_again",
    "memory_gain",
    "num_episodes",
    "explained_variance",
    "target_outside",
    "grad_norm",
    "param_norm",
    "first_ratio_error",
    "policy_loss",
    "value_loss",
    "entropy",
    "approx_kl",
    "clip_fraction",
    "max_ratio_error",
]


def flags(config, default):
    """The flags that turn the default config into this one."""
    out = []
    for field in fields(config):
        new, old = getattr(config, field.name), getattr(default, field.name)
        if is_dataclass(new):
            out += flags(new, old)
        elif field.name == "options":
            names = sorted({*old, *new})
            changes = {name: new.get(name) for name in names if old.get(name) != new.get(name)}
            out += [word for name in changes for word in (f"--{name}", str(changes[name]))]
        elif new != old:
            out += [f"--{field.name.replace('_', '-')}", str(new)]
    return out


def tiny_flags(folder, **changes):
    config = tiny.config(run_dir=str(folder), **changes)
    return flags(config, parse([], "train").config)


def run(capfd, argv):
    """The exit code, stdout and stderr of the program."""
    code = main(argv)
    return code, *capfd.readouterr()


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def load_checkpoint(folder):
    config = from_dict(json.loads((folder / "config.json").read_text()))
    return load(folder / "checkpoint", tiny.start(replace(config, run_dir=None))[1]), config


def assert_finite(learner):
    for leaf in tiny.host(learner):
        assert np.isfinite(leaf).all()


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """An empty working directory that must stay empty."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("quikstart", "there is no preset 'quikstart' (did you mean 'quickstart'?); the presets"),
        (
            "--total-stepz 5",
            "no option '--total-stepz' (did you mean '--total-steps'?); --help-all",
        ),
        ("--learning_rat=1", "no option '--learning-rat' (did you mean '--learning-rate'?)"),
        ("--zzz", "there is no option '--zzz'; --help-all lists them"),
        ("--seed 1 quickstart", "unexpected argument 'quickstart'; a preset's name comes before"),
        ("--total-steps abc", "--total-steps: 'abc' is not a whole number; --help-all lists"),
        ("--total-steps", "argument --total-steps: expected one argument"),
        ("--total-steps 0", "error: total_steps is 0; it must be a whole number above 0"),
        ("--total-steps 99999999999999", "gradient steps, which must be less than 2**31"),
        ("--window 2147483648", "error: window is 2147483648; it must be below 2**31"),
        ("--num-layers 100000", "error: num_layers is 100000; it must be below 1,001"),
        ("--eval-levels 1e9", "error: eval_levels is 1000000000; it must be at most 1,000,000"),
        ("--view-size 1000001 --plan", "error: the run is too large to be planned (Unable to"),
        ("--mixer mamba", "argument --mixer: 'mamba' is not one of attention, gru, lstm"),
        ("--view-size 4", "error: view_size is 4; it must be an odd number of cells, 3 or more"),
        ("--num-minibatches 77", "error: num_minibatches is 77; it must divide the"),
        ("--num-heads 3 --num-kv-heads 2", "error: num_heads is 3 and num_kv_heads 2"),
        ("--env-id GridMem-9x8-v0", "'GridMem-9x8-v0' (did you mean 'GridMem-9x9-v0'?)"),
        ("--seed 99999999999999999999", "error: seed is 99999999999999999999; it must be from 0"),
        ("--predict-view-coef 1 --rollout-steps 1 --window 8", "--rollout-steps is 1; it must be"),
        ("--predict-view-coef 1 --max-steps 1", "and max_steps is 1; it must be 2 or more"),
        ("--run-dir /proc/run", "cannot make the run folder /proc/run"),
        ("--run-dir /dev/null/run", "cannot make the run folder /dev/null/run (Not a directory)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(argv, sentence, untouched, capfd):
    code, out, err = run(capfd, shlex.split(argv))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_an_existing_folder_is_left_alone(tmp_path, capfd):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("precious")
    code, out, err = run(capfd, tiny_flags(tmp_path / "run"))
    assert (code, out) == (2, "")
    assert err == (
        f"error: the run folder {tmp_path / 'run'} exists already; name a new one with --run-dir\n"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == "precious"


def test_help_has_the_presets_and_the_most_used_settings(capfd, monkeypatch):
    texts = {}
    for width, flag in (("80", "--help"), ("20", "--help-all")):
        monkeypatch.setenv("COLUMNS", width)
        with pytest.raises(SystemExit) as end:
            main([flag])
        assert end.value.code == 0
        texts[flag] = capfd.readouterr().out
        assert "quickstart: " in texts[flag]
    # A line more where other tests have registered methods.
    assert len(texts["--help"].splitlines()) <= 50
    for name in ("env_id", "total_steps", "learning_rate", "plan", "resume"):
        assert f"--{name.replace('_', '-')}" in texts["--help"]
    config = TrainConfig()
    for part in (config, config.env, config.model, config.ppo, config.optimizer):
        for field in fields(part):
            if field.name != "options" and not is_dataclass(getattr(part, field.name)):
                assert f"--{field.name.replace('_', '-')} " in texts["--help-all"]


def test_flags_reach_the_config():
    argv = ["quickstart", "--mixer", "none", "--gamma", "0.5", "--num_envs=16", "--view-size", "7"]
    command = parse([*argv, "--num-minibatches", "2"], "train")
    config = command.config
    assert command.name == "quickstart"
    assert (config.model.mixer, config.ppo.gamma, config.ppo.num_envs) == ("none", 0.5, 16)
    assert (config.env.options["view_size"], config.ppo.num_minibatches) == (7, 2)


def test_a_run_from_start_to_end(tmp_path, capfd):
    folder = tmp_path / "run"
    code, out, err = run(capfd, tiny_flags(folder))
    assert (code, err) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "agent.safetensors",
        "checkpoint",
        "config.json",
        "curve.png",
        "evaluation.json",
        "metrics.jsonl",
        "tensorboard",
    ]
    learner, config = load_checkpoint(folder)
    assert config == tiny.config()
    assert int(learner.num_updates) == NUM_UPDATES
    assert_finite(learner)
    rows = rows_of(folder)
    assert [row["steps"] for row in rows] == [128.0 * n for n in range(1, NUM_UPDATES + 1)]
    assert all(list(row) == METRICS for row in rows)
    assert np.isfinite([list(row.values()) for row in rows]).all()
    evaluation = json.loads((folder / "evaluation.json").read_text())
    for row, agent, player in zip(
        evaluation["rows"], ["run", "run", ""], ["sampled", "greedy", "random"], strict=True
    ):
        assert (row["agent"], row["player"], row["levels"]) == (agent, player, "held-out")
        assert row["env"]["max_steps"] == 16
        assert row["num_levels"] == 32
        assert {"episode_return", "return_standard_error", "memory_gain", "found_again"} <= set(row)
        assert row["intervals"].keys() == row.keys() & row["intervals"].keys()
    picture = matplotlib.image.imread(folder / "curve.png")
    assert picture.shape[0] > 300
    assert picture.std() > 0.05
    assert "warning" not in out
    lines = out.splitlines()
    assert re.fullmatch(rf"took \d+ s; the results are in {re.escape(str(folder))}", lines[-2])
    other = parse(shlex.split(lines[-1].partition("gridmem.baselines.train ")[2]), "train")
    same = parse(tiny_flags(folder), "train").config
    assert other.config == replace(same, run_dir=None, model=replace(same.model, mixer="none"))
    assert other.name == "quickstart"


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", breadth(SIGNALS, signal.SIGTERM))
def test_a_signal_ends_the_run_after_a_checkpoint(number, tmp_path, capfd, monkeypatch):
    calls = []

    def update(*args):
        calls.append(args)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return original(*args)

    original = training.update_seeds
    handlers = [signal.getsignal(n) for n in SIGNALS]
    monkeypatch.setattr(training, "update_seeds", update)
    folder = tmp_path / "run"
    code, out, err = run(capfd, tiny_flags(folder))
    assert (code, err) == (130, "")
    assert out.count("stopping after this update; the same again stops at once\n") == 1
    assert "interrupted after 384 steps; to resume: " in out
    assert f"python -m gridmem.baselines.train --resume {folder}\n" in out
    learner, _ = load_checkpoint(folder)
    assert int(learner.num_updates) == len(rows_of(folder)) == 3
    assert_finite(learner)
    assert not (folder / "evaluation.json").exists()
    assert [signal.getsignal(n) for n in SIGNALS] == handlers


@pytest.mark.slow
def test_an_update_that_cannot_be_deterministic_says_so(tmp_path, capfd, monkeypatch):
    def update(*args):
        raise IndexError("raw_hash_map::at\nand more")

    monkeypatch.setattr(training, "update_seeds", update)
    monkeypatch.setattr(training.jax, "default_backend", lambda: "gpu")
    flags = tiny_flags(tmp_path / "run")
    code, out, _ = run(capfd, [*flags, "--deterministic"])
    assert code == 1
    assert "cannot make the update deterministic on this cpu (raw_hash_map::at); leave" in out
    with pytest.raises(IndexError):
        run(capfd, [*tiny_flags(tmp_path / "other")])


def test_a_second_signal_stops_at_once(tmp_path, capfd, monkeypatch):
    def update(*args):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        raise AssertionError("not stopped")

    monkeypatch.setattr(training, "update_seeds", update)
    code, _, err = run(capfd, tiny_flags(tmp_path / "run"))
    assert (code, err) == (130, "interrupted\n")


def test_a_second_hang_up_stops_nothing():
    def stop(number, frame):
        raise AssertionError("stopped")

    old = signal.signal(signal.SIGHUP, stop)
    try:
        with StopSignal() as stop_signal:
            for _ in range(2):
                signal.raise_signal(signal.SIGHUP)
        assert stop_signal.received
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
        with StopSignal() as stop_signal:
            signal.raise_signal(signal.SIGHUP)
        assert not stop_signal.received
    finally:
        signal.signal(signal.SIGHUP, old)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_evaluation_prints_the_command_that_resumes_it(
    number, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(training, "evaluate_run", lambda *args: signal.raise_signal(number))
    folder = tmp_path / "run"
    code, out, err = run(capfd, tiny_flags(folder))
    assert (code, err) == (130, "")
    assert "interrupted after 1,280 steps; to resume: " in out
    assert f"--resume {folder}\n" in out


@pytest.mark.slow
def test_a_run_can_be_in_a_thread(tmp_path, capfd):
    with ThreadPoolExecutor() as pool:
        code = pool.submit(main, tiny_flags(tmp_path / "run")).result()
    assert (code, capfd.readouterr().err) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["full", "closed"])
def test_a_run_survives_failing_output(output, tmp_path, capfd, monkeypatch):
    if output == "full":
        stdout = open("/dev/full", "w")  # noqa: SIM115
    else:
        read, write = os.pipe()
        os.close(read)
        stdout = open(write, "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", stdout)
    folder = tmp_path / "run"
    assert main(tiny_flags(folder)) == 0
    stdout.close()
    assert (folder / "evaluation.json").exists()
    assert len(rows_of(folder)) == NUM_UPDATES
    assert capfd.readouterr() == ("", "")


STOPPED = (
    r"stopped: \w+ is no longer a finite number after [\d,]+ steps; the last good checkpoint "
    r"(is (?P<checkpoint>\S+)|was not written); try a lower --learning-rate"
)


@pytest.mark.slow
def test_non_finite_metrics_end_the_run_and_not_the_checkpoint(tmp_path, capfd, monkeypatch):
    calls = []

    def update(method, learner, stage):
        calls.append(1)
        if len(calls) == 5:
            learner = learner._replace(params=jax.tree.map(lambda x: x * np.nan, learner.params))
        return original(method, learner, stage)

    original = training.update_seeds
    monkeypatch.setattr(training, "update_seeds", update)
    folder = tmp_path / "run"
    code, out, err = run(capfd, tiny_flags(folder, checkpoint_seconds=0.0))
    assert (code, err) == (1, "")
    stopped = re.search(f"^{STOPPED}$", out, re.MULTILINE)
    assert stopped["checkpoint"] == str(folder / "checkpoint")
    assert "after 640 steps" in out
    learner, _ = load_checkpoint(folder)
    assert_finite(learner)
    assert int(learner.num_updates) == 4
    assert len(rows_of(folder)) == 5


@pytest.mark.slow
def test_an_absurd_learning_rate_ends_the_run(tmp_path, capfd):
    folder = tmp_path / "run"
    small = {"mixer": "none", "num_layers": 1}
    absurd = {"learning_rate": 1e12}
    code, out, err = run(capfd, tiny_flags(folder, model=small, optimizer=absurd))
    assert (code, err) == (1, "")
    stopped = re.search(f"^{STOPPED}$", out, re.MULTILINE)
    assert not (folder / "evaluation.json").exists()
    assert (stopped["checkpoint"] is not None) == (folder / "checkpoint").exists()
    if stopped["checkpoint"]:
        assert_finite(load_checkpoint(folder)[0])


def test_targets_beyond_the_histogram_cause_one_warning(tmp_path, capfd, monkeypatch):
    original = training.update_seeds

    def update(*args):
        learner, metrics = original(*args)
        return learner, metrics._replace(target_outside=jax.numpy.float32(0.25))

    monkeypatch.setattr(training, "update_seeds", update)
    code, out, err = run(capfd, tiny_flags(tmp_path / "run"))
    assert (code, err) == (0, "")
    (warning,) = (line for line in out.splitlines() if line.startswith("warning: "))
    outside = rows_of(tmp_path / "run")[0]["target_outside"]
    assert outside == 0.25
    assert warning == (
        f"warning: after 128 steps {outside:.2%} of the value targets are beyond the histogram; "
        "widen it with --value-min and --value-max"
    )


CHILD = """
import resource, sys, time
from gridmem.baselines.training import loop as training
from gridmem.baselines.train import main
{preparation}
sys.exit(main(sys.argv[1:]))
"""


def child(preparation, argv):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(preparation=preparation), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A compilation cache that cannot write would say so.
        env={**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "9999"},
    )


@pytest.mark.slow
def test_a_run_survives_a_full_disk(tmp_path):
    folder = tmp_path / "run"
    full = "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    process = child(full, tiny_flags(folder))
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    for name in ("checkpoint", "curve.png", "evaluation.json"):
        assert sum(f"could not write {folder / name} (" in line for line in warnings) == 1
    assert f"warning: {folder / 'metrics.jsonl'} lacks the lines that are in" in "".join(warnings)
    assert "Traceback" not in out
    rest = [json.loads(x) for x in (folder / "metrics-rest.jsonl").read_text().splitlines()]
    rows = rows_of(folder) + rest
    assert [row["steps"] for row in rows] == [128.0 * n for n in range(1, NUM_UPDATES + 1)]
    assert min(len(rest), len(rows) - len(rest)) > 0
    assert "mean return" in out


@pytest.mark.slow
def test_a_signal_from_another_process_ends_the_run_after_a_checkpoint(tmp_path):
    folder = tmp_path / "run"
    slow = "update, wait = training.update_seeds, lambda: time.sleep(1)\n"
    slow += "training.update_seeds = lambda *args: wait() or update(*args)"
    process = child(slow, tiny_flags(folder))
    deadline = time.monotonic() + 240
    log = folder / "metrics.jsonl"
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    steps = int(re.search(r"interrupted after ([\d,]+) steps", out)[1].replace(",", ""))
    learner, _ = load_checkpoint(folder)
    assert int(learner.num_updates) == steps // 128 == len(rows_of(folder))
    assert 0 < steps // 128 < NUM_UPDATES


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--mixer none"),
        (["--mixer", "none", "--seed", "3"], "--seed 3 --mixer attention"),
        (["quickstart", "--run-dir", "here", "--seed=3"], "quickstart --seed=3 --mixer none"),
        (["--mixer=none", "--run_dir=here"], "--mixer attention"),
    ],
)
def test_the_comparison_is_the_same_run_but_for_its_memory(argv, words, monkeypatch):
    monkeypatch.delenv("UV", raising=False)
    mixer = parse(argv, "train").config.model.mixer
    advice = comparison(argv, mixer)
    assert advice == f"python -m gridmem.baselines.train {words}"
    monkeypatch.setenv("UV", "uv")
    assert comparison(argv, mixer) == f"uv run {advice}"


def test_commands_of_several_processes_have_their_flags_and_a_folder(monkeypatch):
    monkeypatch.delenv("UV", raising=False)
    together = "--coordinator here:1 --num-processes 2 --process-id 0"
    argv = ["small", *together.split(), "--run-dir", "runs/a"]
    assert distributed_flags(parse(argv, "train")) == together.split()
    assert distributed_flags(parse(["--distributed"], "train")) == ["--distributed"]
    assert comparison(argv, "attention", "runs/a") == (
        f"python -m gridmem.baselines.train small {together} --mixer none --run-dir runs/a-none"
    )
