"""Where metrics go beside the run folder's `metrics.jsonl`: TensorBoard, Weights & Biases."""

import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gridmem.baselines.config import TrainConfig, to_dict


@runtime_checkable
class Tracker(Protocol):
    """Takes in metrics; an OSError says that it cannot any more."""

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """Records the metrics of an update."""
        ...

    def close(self) -> None:
        """Ends the record."""
        ...


class TensorBoard:
    """Event files in a folder.

    The writer is tensorboardX's synchronous one: the one with a thread waits for ever once the
    disk has refused that thread.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """See `Tracker`."""
        from tensorboardX.proto import event_pb2

        event: Any = event_pb2.Event(wall_time=time.time(), step=steps)  # pyright: ignore[reportAttributeAccessIssue]
        for name, value in row.items():
            if name != "steps":
                event.summary.value.add(tag=name, simple_value=value)
        self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()


class WeightsAndBiases:
    """A run of a project; its name is its id, too, so that a resumed run goes on there."""

    def __init__(self, project: str, folder: Path, name: str, config: TrainConfig) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        self._run: Any = wandb.init(
            project=project,
            dir=str(folder),
            id=name,
            name=name,
            config=to_dict(config),
            resume="allow",
            reinit="create_new",  # beside those of the other seeds
        )

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._run.log(dict(row), step=steps)

    def close(self) -> None:
        """See `Tracker`."""
        self._run.finish()


def check_trackers(config: TrainConfig) -> None:
    """Raises ValueError if the config asks for a tracker that is not installed."""
    if config.wandb is not None and find_spec("wandb") is None:
        raise ValueError("--wandb needs the package wandb; install it, or leave the flag out")


def make_trackers(config: TrainConfig, folder: Path, name: str) -> list[Tracker]:
    """Those that the config asks for.

    Args:
        config: of the run.
        folder: for their files.
        name: what the run is called, unlike all others.

    Raises:
        OSError: if the disk refuses.
    """
    trackers: list[Tracker] = [TensorBoard(folder / "tensorboard")]
    if config.wandb is not None:
        trackers.append(WeightsAndBiases(config.wandb, folder, name, config))
    return trackers
