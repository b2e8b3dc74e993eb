"""A run folder of version 0.1 (commit 2abb50f): it is loaded, evaluated, compared and resumed."""

import json
import re
import shutil
from pathlib import Path

import pytest

from gridmem.baselines import compare, evaluate, load, train
from gridmem.baselines.config import from_file
from gridmem.baselines.runs.history import read_record
from gridmem.baselines.runs.plots import draw_curve
from gridmem.envs.analysis.episode_stats import Finds


@pytest.fixture
def old(tmp_path):
    """A copy of the folder. Its pictures are left out, but for the place of one."""
    folder = tmp_path / "old"
    shutil.copytree(Path(__file__).parent / "old_run", folder)
    shutil.unpack_archive(folder / "checkpoint.zip", folder)
    (folder / "curve.png").touch()
    return folder


@pytest.mark.slow
def test_its_agent_is_loaded_and_evaluated(old):
    agent = load(old)
    assert (agent.env_id, agent.env.max_steps, agent.env.view_size) == ("GridMem-9x9-v0", 32, 3)
    assert agent.config == from_file(old / "config.json")
    before = json.loads((old / "evaluation.json").read_text())
    assert evaluate.main([str(old), "--levels", "4", "--replays", "0"]) == 0
    after = json.loads((old / "evaluation.json").read_text())
    assert after.keys() == before.keys()
    for row, other in zip(after["rows"], before["rows"], strict=True):
        assert row.keys() >= other.keys()
        names = ("player", "levels", "num_levels", "env_id")
        assert [row[name] for name in names] == [other[name] for name in names]


def test_its_metrics_are_compared_and_drawn(old, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert compare.main([str(old), "--out", str(out)]) == 0
    assert re.search(r"^old +env_id GridMem-9x9-v0, .* 256 ", capsys.readouterr().out, re.MULTILINE)
    rows = read_record("old", old).rows
    assert [row["steps"] for row in rows] == [64.0, 128.0, 192.0, 256.0]
    assert draw_curve("old", Finds().columns, rows, {}).startswith(b"\x89PNG")


def test_a_complete_one_is_not_resumed(old, capsys):
    assert train.main(["--resume", str(old)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is complete after 256 steps; add some with --extend" in error


@pytest.mark.slow
def test_its_checkpoint_is_extended(old, capsys):
    assert train.main(["--resume", str(old), "--extend", "64"]) == 0
    assert "256 already done" in capsys.readouterr().out
    rows = read_record("old", old).rows
    assert [row["steps"] for row in rows] == [64.0, 128.0, 192.0, 256.0, 320.0]
