import json
import sys
from types import SimpleNamespace

import tiny
from tensorboardX.proto.event_pb2 import Event

from gridmem.baselines.trackers import TensorBoard, WeightsAndBiases
from gridmem.baselines.train import main


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


def test_weights_and_biases_gets_the_run(tmp_path, monkeypatch):
    told = []
    run = SimpleNamespace(
        log=lambda row, step: told.append((step, row)), finish=lambda: told.append("finished")
    )

    def init(**settings):
        told.append(settings)
        return run

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    tracker = WeightsAndBiases("caves", tmp_path / "run", "quickstart-1", tiny.CONFIG)
    tracker.log(128, {"entropy": 1.25})
    tracker.close()
    settings, *rest = told
    assert (settings["project"], settings["id"], settings["resume"]) == (
        "caves",
        "quickstart-1",
        "allow",
    )
    assert json.dumps(settings["config"])
    assert rest == [(128, {"entropy": 1.25}), "finished"]


def test_a_tracker_that_is_missing_is_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gridmem.baselines.trackers.find_spec", lambda name: None)
    assert main(["--wandb", "caves"]) == 2
    assert capfd.readouterr().err == (
        "error: --wandb needs the package wandb; install it, or leave the flag out\n"
    )
    assert list(tmp_path.iterdir()) == []
