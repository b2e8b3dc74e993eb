"""A run over eight devices, of one process or two, is the run on one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from gridmem.baselines.config import to_dict
from gridmem.baselines.ppo import sharding as devices
from gridmem.baselines.ppo.settings import CurriculumConfig
from gridmem.baselines.train import main
from gridmem.baselines.training.loop import Run

# Rollouts that go on, in caves that grow: their caches and environments are divided, too.
GROWTH = CurriculumConfig(grow_steps=8 * 12, start_side=5)
CONFIG = tiny.config(
    total_steps=2 * 8 * 12,
    eval_levels=2,
    model={"num_layers": 1},
    method={"num_minibatches": 1, "rollout_steps": 12, "curriculum": GROWTH},
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "settings.json"
    path.write_text(json.dumps(to_dict(CONFIG)))
    return str(path)


@pytest.fixture(scope="module")
def on_one(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "run"
    assert main([settings, "--eval-levels", "0", "--run-dir", str(folder)]) == 0
    return numbers(folder)


def numbers(folder):
    """Those of every update, but for the time that it took."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [{**json.loads(line), "seconds": 0.0} for line in lines]
    return [{name: np.float64(value) for name, value in row.items()} for row in rows]


def start(num_devices, *argv):
    """The trainer in a process of its own that has so many devices."""
    several = f"--xla_force_host_platform_device_count={num_devices}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {several}"
    return subprocess.Popen(
        [sys.executable, "-m", "gridmem.baselines.train", *argv],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process):
    out = process.communicate(timeout=300)[0]
    assert process.returncode == 0, out
    return out


def assert_close(rows, others):
    assert len(rows) == len(others) == 2
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        for name in row:
            np.testing.assert_allclose(row[name], other[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one(settings, on_one, tmp_path):
    out = end(start(8, settings, "--run-dir", str(tmp_path / "run")))
    assert "device       8 x cpu (cpu)\n" in out
    assert_close(numbers(tmp_path / "run"), on_one)


def free_port():
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        return sock.getsockname()[1]


def of_two(*argv):
    """What two processes with four devices each say that train together."""
    together = ["--coordinator", f"localhost:{free_port()}", "--num-processes", "2"]
    both = [start(4, *argv, *together, "--process-id", str(number)) for number in (0, 1)]
    return [end(process) for process in both]


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(settings, on_one, tmp_path):
    spoken, silent = of_two(settings, "--eval-levels", "0", "--run-dir", str(tmp_path / "run"))
    assert "device       8 x cpu (cpu) of 2 processes\n" in spoken
    assert "device" not in silent
    assert_close(numbers(tmp_path / "run"), on_one)


@pytest.mark.slow
def test_two_processes_go_on_as_one_would(settings, tmp_path):
    for name in ("one", "two"):
        folder = str(tmp_path / name)
        if name == "one":
            assert main([settings, "--run-dir", folder]) == 0
            assert main(["--resume", folder, "--extend", "192"]) == 0
        else:
            spoken, silent = of_two(settings, "--run-dir", folder)
            assert "evaluating" in spoken
            assert "evaluating" not in silent
            of_two("--resume", folder, "--extend", "192")
    one, two = (numbers(tmp_path / name) for name in ("one", "two"))
    assert_close(two[2:], one[2:])


@pytest.mark.parametrize(
    ("num_envs", "num_minibatches", "there", "used"),
    [(8, 1, 8, 8), (8, 2, 8, 4), (12, 1, 8, 4), (8, 8, 8, 1), (6, 2, 2, 1), (8, 1, 1, 1)],
)
def test_as_many_devices_as_divide_the_streams(num_envs, num_minibatches, there, used, monkeypatch):
    monkeypatch.setattr(devices.jax, "device_count", lambda: there)
    ppo = {"num_envs": num_envs, "num_minibatches": num_minibatches}
    assert devices.usable_devices(tiny.config(method=ppo)) == used


def test_several_processes_must_all_have_work(monkeypatch):
    monkeypatch.setattr(devices.jax, "device_count", lambda: 8)
    monkeypatch.setattr(devices.jax, "process_count", lambda: 2)
    with pytest.raises(
        ValueError,
        match=r"the run has 8 and 4 \(.*\); both must be",
    ):
        devices.usable_devices(tiny.CONFIG)


def test_what_one_process_cannot_none_does(monkeypatch):
    told = []

    def any_process(flag):
        told.append(flag)
        return [others or flag]

    def refused():
        raise ValueError("no")

    monkeypatch.setattr(devices, "any_process", any_process)
    others = False
    assert devices.all_or_raise(lambda: 3) == 3
    with pytest.raises(ValueError, match="no"):
        devices.all_or_raise(refused)
    others = True
    with pytest.raises(ValueError, match="another process failed; see its error message"):
        devices.all_or_raise(lambda: 3)
    assert told == [False, True, False]


def test_processes_must_know_where_the_run_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices.jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="several processes need a folder that all of them know"):
        Run.new("tiny", CONFIG, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (
            "--coordinator localhost:1",
            "--coordinator, --num-processes and --process-id go together",
        ),
        ("--process-id 0", "--coordinator, --num-processes and --process-id go together"),
        (
            "--coordinator localhost:1 --num-processes 2 --process-id 2",
            "--process-id is 2 and --num-processes 2; the first must be from 0 to below the second",
        ),
        ("--distributed", "cannot join the other processes"),
    ],
)
def test_processes_that_cannot_be(argv, sentence, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv.split()) == 2
    err = capfd.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(Path.cwd().iterdir())
