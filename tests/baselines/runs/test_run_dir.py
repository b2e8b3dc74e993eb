import json
import re
import tempfile
from pathlib import Path

import pytest
from refusing_disk import file_size_limit

from gridmem.baselines.runs.run_dir import RunDir


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run directory; the temporary directory is one of the test."""
    fallback = tmp_path / "fallback"
    fallback.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(fallback))
    return RunDir.create(str(tmp_path / "run"), "name")


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def replace_by_a_file(folder):
    """Nothing can be written below a regular file."""
    for path in folder.path.iterdir():
        path.unlink()
    folder.path.rmdir()
    folder.path.write_text("not a folder")


def test_a_new_folder_has_an_empty_log(folder):
    assert [path.name for path in folder.path.iterdir()] == ["metrics.jsonl"]
    assert folder.problems == []


def test_without_a_path_a_folder_under_runs_is_named_after_the_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = RunDir.create(None, "quickstart").path
    assert re.fullmatch(r"runs/quickstart-\d{8}-\d{6}", path.as_posix())
    assert (tmp_path / path / "metrics.jsonl").exists()


def test_an_existing_folder_is_refused_and_left_alone(folder):
    (folder.path / "metrics.jsonl").write_text("precious")
    with pytest.raises(ValueError, match=r"exists already; name a new one with --run-dir"):
        RunDir.create(str(folder.path), "name")
    assert (folder.path / "metrics.jsonl").read_text() == "precious"


def left(folder, rows=0, seeds=()):
    """What is there before the first checkpoint."""
    for path in (folder, *(folder / f"seed-{seed}" for seed in seeds)):
        path.mkdir()
        (path / "metrics.jsonl").write_text('{"steps": 128.0}\n' * rows)
        (path / "config.json").write_text("{}")
        (path / "tensorboard").mkdir()
        (path / "tensorboard" / "events").write_text("")
    (folder / "checkpoint.new.orbax-checkpoint-tmp").mkdir()
    (folder / ".lock").write_text("")


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("seeds", [(), (3, 4)], ids=["one seed", "seeds"])
def test_a_folder_abandoned_before_the_first_checkpoint_counts_as_new(tmp_path, rows, seeds):
    left(tmp_path / "run", rows, seeds)
    folder = RunDir.create(str(tmp_path / "run"), "name")
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "metrics.jsonl"]
    assert (folder.path / "metrics.jsonl").read_text() == ""


@pytest.mark.parametrize("precious", ["checkpoint", "evaluation.json", "notes.txt", "seed-0"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path, precious):
    left(tmp_path / "run")
    (tmp_path / "run" / precious).mkdir()
    with pytest.raises(ValueError, match="exists already"):
        RunDir.create(str(tmp_path / "run"), "name")
    assert (tmp_path / "run" / "config.json").exists()
    left(tmp_path / "more", rows=2)
    with pytest.raises(ValueError, match="exists already"):
        RunDir.create(str(tmp_path / "more"), "name")


def test_a_locked_folder_is_not_new(tmp_path, folder):
    folder.lock()
    with pytest.raises(ValueError, match="another process is running in"):
        RunDir.create(str(folder.path), "name")
    folder.unlock()


@pytest.mark.parametrize("parent", ["file", "proc"])
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, parent):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "run" if parent == "file" else Path("/proc/run")
    with pytest.raises(ValueError, match=f"cannot make the run folder {path} .*--run-dir"):
        RunDir.create(str(path), "name")


def test_metrics_are_a_line_each(folder):
    rows = [{"steps": float(n), "x": n / 3} for n in range(3)]
    for row in rows:
        folder.append_metrics(row)
    assert rows_of(folder.path / "metrics.jsonl") == rows
    folder.flush()
    assert [path.name for path in folder.path.iterdir()] == ["metrics.jsonl"]


def test_no_line_is_cut_or_lost_when_the_disk_fills_up(folder):
    log = folder.path / "metrics.jsonl"
    rows = [{"number": float(n), "x": 1 / 3} for n in range(6)]
    length = len(json.dumps(rows[0])) + 1
    with file_size_limit(2 * length + length // 2):
        for row in rows[:4]:
            folder.append_metrics(row)
        assert rows_of(log) == rows[:2]
        assert log.read_text().endswith("\n")
    assert folder.problems == [
        f"could not write {log} (File too large); the lines are kept and tried again"
    ]
    folder.append_metrics(rows[4])
    folder.append_metrics(rows[5])
    assert rows_of(log) == rows
    assert folder.problems == []


def test_non_finite_numbers_are_written_as_null(folder):
    folder.append_metrics({"steps": 1.0, "loss": float("nan"), "norm": float("inf")})
    assert rows_of(folder.path / "metrics.jsonl") == [{"steps": 1.0, "loss": None, "norm": None}]


def test_runs_of_the_same_second_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len({RunDir.create(None, "quickstart").path for _ in range(3)}) == 3


def test_pending_metrics_are_written_elsewhere_at_the_end(folder):
    log = folder.path / "metrics.jsonl"
    log.unlink()
    log.symlink_to("/dev/full")
    rows = [{"steps": 1.0}, {"steps": 2.0}]
    for row in rows:
        folder.append_metrics(row)
    folder.flush()
    assert rows_of(folder.path / "metrics-rest.jsonl") == rows
    assert folder.problems == [
        f"{log} lacks the lines that are in {folder.path / 'metrics-rest.jsonl'}"
    ]


def test_metrics_are_written_once_the_file_exists_again(folder):
    log = folder.path / "metrics.jsonl"
    log.unlink()
    folder.append_metrics({"steps": 1.0})
    log.touch()
    folder.append_metrics({"steps": 2.0})
    assert rows_of(log) == [{"steps": 1.0}, {"steps": 2.0}]


def test_files_fall_back_to_a_temporary_folder(folder, tmp_path):
    replace_by_a_file(folder)
    path = folder.write_json("evaluation.json", {"a": 1})
    assert path is not None
    assert path.parent.parent == tmp_path / "fallback"
    assert json.loads(path.read_text()) == {"a": 1}
    folder.append_metrics({"steps": 1.0})
    folder.flush()
    assert rows_of(path.parent / "metrics-rest.jsonl") == [{"steps": 1.0}]
    for name in ("evaluation.json", "metrics-rest.jsonl"):
        sentence = f"could not write {folder.path / name} (Not a directory); it is in {path.parent}"
        assert f"{sentence} instead" in folder.problems


def test_without_a_fallback_there_is_one_problem(folder, monkeypatch):
    replace_by_a_file(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder.path))
    for _ in range(2):
        assert folder.write_json("evaluation.json", {}) is None
    assert folder.problems == [
        f"could not write {folder.path / 'evaluation.json'} (Not a directory); "
        "the temporary folder failed, too"
    ]


def test_a_problem_ends_with_a_successful_write(folder):
    refuse = True

    def write(path):
        if refuse and path.parent == folder.path:
            raise OSError(28, "No space left")
        path.write_text("here")

    path = folder.keep("thing", write)
    assert path.read_text() == "here"
    assert folder.problems == [
        f"could not write {folder.path / 'thing'} (No space left); it is in {path.parent} instead"
    ]
    refuse = False
    assert folder.keep("thing", write) == folder.path / "thing"
    assert folder.problems == []


@pytest.mark.parametrize("mistake", [TypeError, ValueError, RuntimeError])
def test_an_error_of_the_program_is_not_hidden(folder, mistake):
    def write(path):
        raise mistake("a mistake")

    with pytest.raises(mistake, match="a mistake"):
        folder.keep("thing", write)


def test_json_is_written_completely_or_not_at_all(folder, tmp_path):
    path = folder.path / "config.json"
    assert folder.write_json("config.json", {"version": 1}) == path
    with file_size_limit(1000):
        assert folder.write_json("config.json", {"text": "x" * 5000}) is None
    assert json.loads(path.read_text()) == {"version": 1}
    assert sorted(p.name for p in folder.path.iterdir()) == ["config.json", "metrics.jsonl"]
    assert [list(p.iterdir()) for p in (tmp_path / "fallback").iterdir()] == [[]]
    folder.write_json("config.json", {"version": 2})
    assert json.loads(path.read_text()) == {"version": 2}
