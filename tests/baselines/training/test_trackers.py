import json
import sys

import pytest
import tiny
from tensorboardX.proto.event_pb2 import Event

from gridmem.baselines.train import main
from gridmem.baselines.training.loop import Run
from gridmem.baselines.training.trackers import TensorBoard, WeightsAndBiases


def events_of(folder):
    """The events of the only file in the folder, read by the format's definition."""
    (file,) = folder.iterdir()
    data, events = file.read_bytes(), []
    while data:  # length u64, its checksum u32, the event, its checksum u32
        size = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return events


def test_tensorboard_gets_every_metric(tmp_path):
    tracker = TensorBoard(tmp_path / "events")
    tracker.log(128, {"steps": 128.0, "entropy": 1.25})
    tracker.log(256, {"steps": 256.0, "entropy": 0.5, "episode_return": 3.0})
    tracker.close()
    _, first, second = events_of(tmp_path / "events")
    assert (first.step, second.step) == (128, 256)
    assert [(v.tag, v.simple_value) for v in first.summary.value] == [("entropy", 1.25)]
    assert [(v.tag, v.simple_value) for v in second.summary.value] == [
        ("entropy", 0.5),
        ("episode_return", 3.0),
    ]


def test_a_resumed_run_drops_events_after_its_checkpoint(tmp_path):
    tracker = TensorBoard(tmp_path / "events", 128)
    tracker.log(256, {"steps": 256.0, "entropy": 0.5})
    tracker.close()
    _, start, row = events_of(tmp_path / "events")
    # TensorBoard forgets earlier files' events of this step or a later one.
    assert (start.step, start.session_log.status) == (129, start.session_log.START)
    assert row.step == 256


class WandB:
    """A fake of the package."""

    def __init__(self, **failing):
        self.calls, self.failing = [], failing

    def _record(self, name, what):
        self.calls.append((name, what))
        if name in self.failing:
            raise self.failing[name]

    def login(self):
        self._record("login", None)

    def init(self, **settings):
        self._record("init", settings)
        return self

    def log(self, row, step):
        self._record("log", (step, row))

    def finish(self):
        self._record("finish", None)


def in_place_of_wandb(monkeypatch, **failing):
    wandb = WandB(**failing)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("gridmem.baselines.training.trackers.find_spec", lambda name: wandb)
    return wandb


def test_weights_and_biases_gets_the_run(tmp_path, monkeypatch):
    wandb = in_place_of_wandb(monkeypatch)
    tracker = WeightsAndBiases("caves", tmp_path, "quickstart-1", tiny.CONFIG)
    tracker.log(128, {"entropy": 1.25})
    tracker.close()
    (_, settings), *rest = wandb.calls
    assert (settings["project"], settings["name"]) == ("caves", "quickstart-1")
    assert settings["resume"] == "allow"
    assert json.dumps(settings["config"])
    assert rest == [("log", (128, {"entropy": 1.25})), ("finish", None)]


def test_a_folder_is_one_run_of_weights_and_biases(tmp_path, monkeypatch):
    wandb = in_place_of_wandb(monkeypatch)
    for folder in ("exp1", "exp2", "exp1"):
        (tmp_path / folder / "a:b").mkdir(parents=True, exist_ok=True)
        WeightsAndBiases("caves", tmp_path / folder / "a:b", "a:b", tiny.CONFIG)
    first, other, again = (settings["id"] for _, settings in wandb.calls)
    assert first == again != other
    assert first.isalnum()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["init", "log", "finish"])
def test_a_run_survives_a_failing_tracker(when, tmp_path, monkeypatch, capfd):
    wandb = in_place_of_wandb(monkeypatch, **{when: RuntimeError("no network\nat all")})
    config = tiny.config(run_dir=str(tmp_path / "run"), wandb="caves", eval_levels=0)
    assert Run.new("tiny", config, "resume", "compare").run() == 0
    out = capfd.readouterr().out
    assert out.count("warning: ") == out.count("(no network); the run went on without it") == 1
    assert [name for name, _ in wandb.calls].count("log") == {"init": 0, "log": 1, "finish": 10}[
        when
    ]
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert events.stat().st_size > 1000


def test_a_tracker_without_login_is_refused_before_the_run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    in_place_of_wandb(monkeypatch, login=RuntimeError("No API key configured."))
    assert main(["--wandb", "caves"]) == 2
    assert capfd.readouterr().err == "error: --wandb cannot be used: No API key configured.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_missing_is_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gridmem.baselines.training.trackers.find_spec", lambda name: None)
    assert main(["--wandb", "caves"]) == 2
    assert capfd.readouterr().err == (
        "error: --wandb needs the package wandb; install it, or leave the flag out\n"
    )
    assert list(tmp_path.iterdir()) == []
