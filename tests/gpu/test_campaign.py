"""The campaign, with a tiny configuration on whatever device there is."""

import json
import re
import subprocess
import sys
import tarfile
from dataclasses import replace

import campaign
import campaign_training
import pytest

from gridmem.baselines.config import from_file, to_dict
from gridmem.baselines.model.mixers.attention_kernels import cuda_capabilities
from gridmem.baselines.presets import preset
from gridmem.baselines.runs.run_dir import read_metrics


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The file of a configuration that compiles in seconds."""
    small = preset("small")
    config = replace(
        small,
        env=replace(small.env, num_agents=2, max_steps=16),
        model=replace(small.model, num_layers=1, width=16, ff_width=16, value_width=16),
        method=replace(small.ppo, num_envs=4, num_minibatches=2),
    )
    file = tmp_path_factory.mktemp("campaign") / "tiny.json"
    file.write_text(json.dumps(to_dict(config)))
    return file


def run(stage, settings, out, *flags):
    return campaign.main([stage, "--preset", str(settings), "--out", str(out), *map(str, flags)])


@pytest.mark.slow
def test_an_update_is_told_kernel_by_kernel(settings, tmp_path, capsys):
    assert run("profile", settings, tmp_path) == 0
    text = (tmp_path / "profile.txt").read_text()
    assert text.count("agent steps/s") == 1 + 8 + 1
    assert "first ratio error" in text
    assert " events\n" in text
    assert "profile.txt" in capsys.readouterr().out


@pytest.mark.slow
def test_several_settings_are_profiled_in_one_go(settings, tmp_path):
    jobs, out = tmp_path / "jobs.txt", tmp_path / "out"
    jobs.write_text(f"a {settings}\nb {settings} --mixer none\nc {settings} --decode triton\n")
    command = [sys.executable, campaign.__file__, "profile", "--jobs", jobs, "--out", out]
    code = subprocess.run([*map(str, command), "--minutes", "3"]).returncode
    text = (out / "profile.txt").read_text()
    if not cuda_capabilities():
        assert code == 1
        assert "--decode is triton, but there is no CUDA device" in text
    assert text.count(" with compiling: ") == (3 if cuda_capabilities() else 2)
    assert text.index("a: ") < text.index("b: ") < text.index("c: ")


@pytest.mark.parametrize("line", ["a --mixer attenton", "a --num-envs 0"])
def test_invalid_settings_are_refused(line, tmp_path, capsys):
    jobs = tmp_path / "jobs.txt"
    jobs.write_text(f"{line}\n")
    assert campaign.main(["profile", "--out", str(tmp_path), "--jobs", str(jobs)]) == 2
    assert (
        f"error: line 'a' of {jobs} has settings that cannot be used: " in capsys.readouterr().err
    )


def test_kernels_are_timed_and_those_that_fail_are_told(settings, tmp_path):
    assert run("attention", settings, tmp_path) == 0
    rows = json.loads((tmp_path / "attention.json").read_text())["rows"]
    by_decoding = ["triton", "xla"] if cuda_capabilities() else ["xla"]
    assert [row["kernel"] for row in rows] == ["cudnn", "xla", "triton", "xla", *by_decoding]
    assert all(("milliseconds" in row) != ("error" in row) for row in rows)
    assert "milliseconds" in rows[1]


def test_too_few_minutes_are_refused(settings, tmp_path, capsys):
    bench = measured(tmp_path / "bench", 4.0)
    minutes = ["--training-minutes", 0.5, "--minutes", 5]
    assert run("train", settings, tmp_path, "--from", bench, *minutes) == 2
    told = capsys.readouterr().err
    assert re.match(r"error: --training-minutes is 0\.5; .+ take 50 s of it, so give more\n", told)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--preset", "nope"], "there is no preset 'nope'"),
        (["--from", "nowhere"], "nowhere has neither run.tar.0 nor bench.json"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(flags, sentence, tmp_path, capsys):
    assert campaign.main(["train", "--out", str(tmp_path), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def measured(folder, steps_per_second):
    """What `bench` leaves, with that speed."""
    folder.mkdir()
    result = {
        "part": "whole",
        "mixer": "attention",
        "num_layers": 1,
        "steps_per_second": steps_per_second,
        "compile_seconds": 0.0,
    }
    (folder / "bench.json").write_text(json.dumps({"results": [result]}))
    return folder


def assert_can_be_brought_home(folder):
    files = list(folder.iterdir())
    assert len(files) <= campaign.MOST_FILES
    assert all(file.is_file() and file.stat().st_size < 16 * 2**20 for file in files)


@pytest.mark.slow
def test_the_schedule_of_a_run_ends_with_its_minutes(settings, tmp_path, capsys):
    bench, first, second = measured(tmp_path / "bench", 4.0), tmp_path / "1", tmp_path / "2"
    minutes = ["--training-minutes", 10, "--minutes", 5]
    assert run("train", settings, first, "--from", bench, *minutes) == 0
    assert_can_be_brought_home(first)
    assert "\nattention    " in (first / "train.txt").read_text()
    assert run("train", settings, second, "--from", first, *minutes) == 0
    assert f"the run in {first} is complete" in capsys.readouterr().out
    campaign_training.unpack(second, tmp_path)
    total_steps = from_file(tmp_path / "run" / "config.json").total_steps
    assert total_steps == pytest.approx(0.97 * 4 * (600 - 2 * 50), abs=5)
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["steps"] >= total_steps
    assert (tmp_path / "run" / "agent.safetensors").exists()


@pytest.mark.slow
def test_a_run_goes_on_from_stage_to_stage(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(campaign_training, "ENDING_SECONDS", 100.0)
    source, steps = measured(tmp_path / "bench", 1e6), []
    monkeypatch.setattr(campaign_training, "STARTING_SECONDS", -100.0)
    for name in ("1", "2"):
        out = tmp_path / name
        flags = ["--training-minutes", 10, "--minutes", 130 / 60]  # told to stop after 30 s
        assert run("train", settings, out, "--from", source, *flags) == 0
        assert_can_be_brought_home(out)
        (tmp_path / f"unpacked-{name}").mkdir()
        campaign_training.unpack(out, tmp_path / f"unpacked-{name}")
        rows = read_metrics(tmp_path / f"unpacked-{name}" / "run" / "metrics.jsonl")
        steps.append(rows[-1]["steps"])
        assert [row["steps"] for row in rows] == sorted({row["steps"] for row in rows})
        source = out
    assert 0 < steps[0] < steps[1] < 1e8


@pytest.mark.slow
def test_several_runs_are_trained_and_those_without_time_are_stopped(settings, tmp_path, capsys):
    jobs, out = tmp_path / "jobs.txt", tmp_path / "out"
    tiny = f"{settings} --eval-levels 0 --total-steps"
    jobs.write_text(f"# two at once\na {tiny} 512\nb {tiny} 100000000\nc {tiny} 512\n")
    assert run("runs", settings, out, "--jobs", jobs, "--parallel", 2, "--minutes", 3) == 1
    assert "not trained to the end: b\n" in capsys.readouterr().out
    assert_can_be_brought_home(out)
    with tarfile.open(out / "runs.tar.0") as archive:
        names = archive.getnames()
    assert {"runs/a/agent.safetensors", "runs/c/agent.safetensors", "runs/b.txt"} <= {*names}
    assert {name.split("/")[1] for name in names if "checkpoint" in name} == {"b"}


def test_runs_without_a_name_of_their_own_are_refused(tmp_path, capsys):
    jobs = tmp_path / "jobs.txt"
    jobs.write_text("a --seed 1\na --seed 2\n")
    assert campaign.main(["runs", "--out", str(tmp_path), "--jobs", str(jobs)]) == 2
    assert "line 2 of" in capsys.readouterr().err
    assert campaign.main(["runs", "--out", str(tmp_path)]) == 2
    assert "runs needs --jobs FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_speeds_are_measured(settings, tmp_path):
    assert run("bench", settings, tmp_path, "--layers", 1, "--environments", 4, 8) == 0
    results = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert [row["part"] for row in results] == ["rollout", "training", "whole"]
    assert (tmp_path / "environment-8.json").exists()
    assert_can_be_brought_home(tmp_path)


@pytest.mark.slow
def test_the_machine_is_told_and_the_tests_for_a_card_are_run(settings, tmp_path):
    assert run("check", settings, tmp_path) == 0
    assert "jax" in (tmp_path / "machine.txt").read_text()
    assert "skipped" in (tmp_path / "tests.txt").read_text() or cuda_capabilities()
