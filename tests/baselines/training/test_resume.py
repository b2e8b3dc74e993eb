import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
from breadth import breadth
from safetensors.numpy import load_file

from gridmem.baselines.config import from_dict
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.train import main
from gridmem.baselines.training import loop as training
from gridmem.baselines.training.loop import Run

NUM_UPDATES = 10  # of the whole episodes as many as tiny.CONFIG has, which others compile
STEPS = 8 * 16  # an update's


class Killed(BaseException):
    """An exception that the program never catches."""


CONFIGS = {
    "whole episodes": tiny.config(total_steps=NUM_UPDATES * STEPS, checkpoint_seconds=0.0),
    "parts of episodes, Muon, HL-Gauss, bfloat16, the next view": tiny.config(
        total_steps=NUM_UPDATES * STEPS * 5 // 8,
        checkpoint_seconds=0.0,
        method={"rollout_steps": 10},
        model={
            "num_layers": 1,
            "dtype": "bfloat16",
            "value_head": "hl_gauss",
            "window": 7,
            "predict_view_coef": 1.0,
        },
        optimizer={"optimizer": "muon"},
    ),
}


# That every leaf of such a learner as the other one comes back is for the tests of checkpoints.
@pytest.fixture(scope="module", params=breadth(CONFIGS, "whole episodes"))
def config(request):
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    """The folder of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    assert start(config, folder).run() == 0
    return folder


def start(config, folder):
    return Run.new("tiny", changed(config, folder), "resume", "compare")


def resume(config, folder):
    return Run.resumed("run", changed(config, folder), "resume")


def changed(config, folder):
    return from_dict({**json.loads(json.dumps(training.to_dict(config))), "run_dir": str(folder)})


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def results_of(folder):
    return rows_of(folder), json.loads((folder / "evaluation.json").read_text())


def learner_of(config, folder):
    return tiny.host(checkpoint.load(folder / "checkpoint", tiny.start(config)[1]))


def kill(monkeypatch, name, call, module=training):
    """Raises Killed at the given call of a function."""
    original, calls = getattr(module, name), []

    def dying(*args, **named):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return original(*args, **named)

    monkeypatch.setattr(module, name, dying)


def assert_same(config, folder, straight):
    assert results_of(folder) == results_of(straight)
    mine, other = (load_file(each / "agent.safetensors") for each in (folder, straight))
    assert mine.keys() == other.keys()
    assert all(np.array_equal(mine[name], other[name]) for name in mine)
    pairs = list(zip(learner_of(config, folder), learner_of(config, straight), strict=True))
    assert pairs
    for mine, other in pairs:
        assert np.array_equal(mine, other)


@pytest.mark.parametrize("call", breadth([2, 5], 2))
def test_a_killed_run_is_resumed_to_the_same_end(call, config, straight, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill(patch, "update_seeds", call)
        with pytest.raises(Killed):
            start(config, folder).run()
    assert not (folder / "evaluation.json").exists()
    assert resume(config, folder).run() == 0
    assert_same(config, folder, straight)


@pytest.mark.slow
def test_metrics_after_the_last_checkpoint_are_written_again(
    config, straight, tmp_path, monkeypatch
):
    folder, rare = tmp_path / "run", training.replace(config, checkpoint_seconds=1e9)
    with monkeypatch.context() as patch:
        kill(patch, "update_seeds", 5)
        with pytest.raises(Killed):
            start(rare, folder).run()
    assert len(rows_of(folder)) == 3  # of the fourth update nothing was read yet
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"steps": 512.0, "episode_re')
    run = resume(rare, folder)
    assert len(rows_of(folder)) == 1
    assert run.run() == 0
    assert rows_of(folder) == rows_of(straight)


@pytest.mark.slow
def test_a_run_can_be_killed_at_any_point_of_a_save(config, straight, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    saving = ("_remove", "_check_free_space", "_replace")
    for number, name in enumerate(saving):
        with monkeypatch.context() as patch:
            kill(patch, name, 2, module=checkpoint)
            with pytest.raises(Killed):
                (start if number == 0 else resume)(config, folder).run()
    assert 0 < len(rows_of(folder)) < NUM_UPDATES
    assert resume(config, folder).run() == 0
    assert_same(config, folder, straight)


@pytest.mark.slow
def test_the_older_checkpoint_counts_between_two_renames(config, straight, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill(patch, "update_seeds", 3)
        with pytest.raises(Killed):
            start(config, folder).run()
    (folder / "checkpoint").rename(folder / "checkpoint.old")
    assert resume(config, folder).run() == 0
    assert_same(config, folder, straight)


def complete(folder, monkeypatch):
    """Makes a complete run of six updates, compiled for a longer one; returns the longer config."""
    longer = CONFIGS["whole episodes"]
    with monkeypatch.context() as patch:
        kill(patch, "update_seeds", 7)
        with pytest.raises(Killed):
            start(longer, folder).run()
    assert resume(training.replace(longer, total_steps=6 * STEPS), folder).run() == 0
    return longer


def run_main(capfd, *argv):
    code = main(argv)
    return code, *capfd.readouterr()


@pytest.mark.slow
def test_a_complete_run_can_be_extended(tmp_path, capfd, monkeypatch):
    folder = str(tmp_path / "run")
    complete(folder, monkeypatch)
    capfd.readouterr()
    code, _, err = run_main(capfd, "--resume", folder)
    assert code == 2
    assert err == (
        f"error: the run in {folder} is complete after 768 steps; add some with --extend\n"
    )
    code, out, err = run_main(capfd, "--resume", folder, "--extend", str(4 * STEPS))
    assert (code, err) == (0, "")
    assert "10 updates of 128, 768 already done" in out
    assert [row["steps"] for row in rows_of(tmp_path / "run")] == [128.0 * n for n in range(1, 11)]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["total_steps"] == 10 * STEPS
    seconds = [
        json.loads(line)["seconds"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert seconds == sorted(seconds)


def test_an_interrupted_run_prints_the_command_that_resumes_it(tmp_path, capfd, monkeypatch):
    original = training.update_seeds

    def update(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return original(*args)

    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(training, "update_seeds", update)
    folder = tmp_path / "run"
    run = Run.new("tiny", changed(tiny.CONFIG, folder), "python -m train --resume", "")
    assert run.run() == 130
    out = capfd.readouterr().out
    assert f"interrupted after 128 steps; to resume: python -m train --resume {folder}\n" in out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("--resume RUN/none", "RUN/none is not the folder of a run: RUN/none/config.json (No such"),
        ("--resume RUN", "the run in RUN has saved no checkpoint yet; start it again"),
        ("--resume RUN --extend 0", "--extend is 0; it must be a whole number above 0"),
        ("--extend 5", "--extend adds steps to a run that is named with --resume"),
        ("small --resume RUN", "the settings that it has; leave out small, or start a new run"),
        ("--resume RUN --seed 3", "the settings that it has; leave out --seed, or start a new"),
    ],
)
def test_what_cannot_be_resumed_is_refused_in_one_sentence(argv, sentence, tmp_path, capfd):
    (tmp_path / "config.json").write_text(json.dumps(training.to_dict(tiny.CONFIG)))
    code, out, err = run_main(capfd, *argv.replace("RUN", str(tmp_path)).split())
    assert (code, out) == (2, "")
    assert sentence.replace("RUN", str(tmp_path)) in err
    assert err.count("\n") == 1


def test_a_damaged_checkpoint_is_named(tmp_path, capfd):
    folder = tmp_path / "run"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(training.to_dict(tiny.CONFIG)))
    code, _, err = run_main(capfd, "--resume", str(folder))
    assert code == 2
    assert err.startswith(f"error: the checkpoint in {folder} is damaged or of another version (")


@pytest.mark.slow
def test_two_processes_do_not_share_a_run(tmp_path, capfd):
    folder = tmp_path / "run"
    run = start(tiny.CONFIG, folder)
    assert run.run() == 0
    run.run_dir.lock()
    code = "import sys; from gridmem.baselines.train import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "--resume", str(folder), "--extend", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    run.run_dir.unlock()
    assert done.returncode == 2
    assert done.stderr == f"error: another process is running in {folder}; wait for it\n"


@pytest.mark.slow
def test_a_run_killed_in_its_evaluation_is_evaluated(config, straight, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill(patch, "evaluate_run", 1)
        with pytest.raises(Killed):
            start(config, folder).run()
    assert len(rows_of(folder)) == NUM_UPDATES
    assert not (folder / "evaluation.json").exists()
    assert resume(config, folder).run() == 0
    assert_same(config, folder, straight)
    with pytest.raises(ValueError, match="is complete after"):
        resume(config, folder)


@pytest.mark.slow
def test_an_extended_run_deletes_its_older_evaluation(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    longer = complete(folder, monkeypatch)
    with monkeypatch.context() as patch:
        kill(patch, "evaluate_run", 1)
        with pytest.raises(Killed):
            resume(longer, folder).run()
    assert not (folder / "evaluation.json").exists()
    assert resume(longer, folder).run() == 0
    assert (folder / "evaluation.json").exists()


@pytest.mark.slow
def test_a_process_that_is_killed_repeatedly_ends_the_same(config, straight, tmp_path):
    folder = tmp_path / "run"
    (tmp_path / "config.json").write_text(json.dumps(training.to_dict(config)))
    argv = [str(tmp_path / "config.json"), "--run-dir", str(folder)]
    draw = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-m", "gridmem.baselines.train", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun = folder / "checkpoint"
        while not begun.exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 8))  # within its compilation, its updates and its saves
        process.kill()
        out = process.communicate()[0]
        assert not re.search("Traceback|error:", out), out
        argv = ["--resume", str(folder)]
        if (folder / "evaluation.json").exists():
            break
    else:
        assert resume(config, folder).run() == 0
    assert_same(config, folder, straight)
