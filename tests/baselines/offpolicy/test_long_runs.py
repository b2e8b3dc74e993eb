"""Long runs: killed, on the host, of MuJoCo, and the comparison."""

import json
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import small
from safetensors.numpy import load_file

from gridmem.baselines import load
from gridmem.baselines.accelerate import main as accelerate
from gridmem.baselines.config import to_dict
from gridmem.baselines.train import main as train
from gridmem.baselines.training.loop import Run


@pytest.mark.slow
def test_a_run_may_be_killed_at_any_moment(tmp_path):
    config = small.config("td3", checkpoint_seconds=0.0, total_steps=1200)
    (tmp_path / "small.json").write_text(json.dumps(to_dict(config)))
    start = [str(tmp_path / "small.json"), "--run-dir"]
    assert train([*start, str(tmp_path / "straight")]) == 0
    path, rng = tmp_path / "killed", random.Random(0)
    for kills in (True, True, True, False):
        words = ["--resume", str(path)] if (path / "checkpoint").exists() else [*start, str(path)]
        process = subprocess.Popen([sys.executable, "-m", "gridmem.baselines.train", *words])
        lines = path / "metrics.jsonl"
        before = lines.read_bytes().count(b"\n") if lines.exists() else 0
        wanted = before + rng.randint(3, 15)
        while kills and process.poll() is None:
            if lines.exists() and lines.read_bytes().count(b"\n") >= wanted:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.01)
        assert process.wait() == (-signal.SIGKILL if kills else 0)
    assert small.rows_of(path) == small.rows_of(tmp_path / "straight")
    same = [load_file(each / "agent.safetensors") for each in (path, tmp_path / "straight")]
    jax.tree.map(np.testing.assert_array_equal, *same)


COMPARED = ["--stage1-steps", "1000", "--stage2-steps", "1000", "--learning-starts", "500"]
COMPARED += ["--eval-levels", "3", "--critic-width", "8", "--width", "8", "--mixer", "gru"]
COMPARED += ["--stage2-buffer", "64", "--agent", "accelerated", "--num-seeds", "2"]


@pytest.mark.slow
def test_the_comparison_is_resumed_and_printed(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "comparison"
    calls, run_ = [], Run.run

    def interrupted(self):
        calls.append(self)
        if len(calls) == 2:
            self.run_dir.unlock()
            return 130
        return run_(self)

    monkeypatch.setattr(Run, "run", interrupted)
    assert accelerate([*COMPARED, "--run-dir", str(folder)]) == 130
    assert accelerate(["--resume", str(folder / "accelerated")]) == 0
    printed = capsys.readouterr().out
    table = printed[printed.rindex("buffer 1") :]
    assert "medians of 2 seeds" in table
    returns = {
        line.split("  ")[0]: float(line.split()[-4 if "clone" in line else -5])
        for line in table.splitlines()[1:3]
    }
    for name, label in (("stage1-", "its clone before stage 2"), ("", "accelerated")):
        evaluation = folder / "accelerated" / f"{name}evaluation.json"
        rows = json.loads(evaluation.read_text())["rows"]
        own = [row["episode_return"] for row in rows if row["player"] == "sampled"]
        assert returns[label] == pytest.approx(np.median(own), abs=0.06)
    assert (folder / "comparison.png").exists()


@pytest.mark.slow
def test_an_environment_of_the_host(tmp_path, capfd):
    options = {"max_steps": 15}
    config = small.config("sac", "gymnasium:Pendulum-v1", options, checkpoint_seconds=0.0)
    first = small.config("sac", "gymnasium:Pendulum-v1", options, total_steps=60)
    folder = tmp_path / "run"
    assert small.run(first, folder) == 0
    state = small.state_of(first, folder)
    assert state.buffer.data.time[:60, 0].tolist() == [number % 15 for number in range(60)]
    assert "new ones begin" not in capfd.readouterr().out
    assert small.run(config, folder) == 0
    assert "new ones begin" in capfd.readouterr().out
    after = small.state_of(config, folder)
    assert int(after.buffer.added) == 120
    assert after.buffer.data.time[0, 0] == 0  # of row 60, in the slot of row 0
    assert load(folder).env_id == "gymnasium:Pendulum-v1"


@pytest.mark.slow
@pytest.mark.parametrize("id", ["HalfCheetah-v5"])
def test_a_few_steps_of_mujoco(id, tmp_path):
    pytest.importorskip("mujoco")
    config = small.config("accelerator", id, {"hide": "velocity", "max_steps": 30}, eval_levels=1)
    assert small.run(config, tmp_path / "run") == 0
