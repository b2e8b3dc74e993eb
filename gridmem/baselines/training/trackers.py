"""Where metrics go beside the run folder's `metrics.jsonl`: TensorBoard, Weights & Biases."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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

    def __init__(self, folder: Path, steps: int = 0) -> None:
        """A new file in the folder; what the others have of after `steps` counts no more."""
        from tensorboardX.event_file_writer import EventsWriter

        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        if steps:
            event = _event(steps + 1)
            event.session_log.status = event.session_log.START
            self._write(event)

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """See `Tracker`."""
        event = _event(steps)
        for name, value in row.items():
            if name != "steps":
                event.summary.value.add(tag=name, simple_value=value)
        self._write(event)

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write_event(event)
        self._writer.flush()


def _event(steps: int) -> Any:
    from tensorboardX.proto import event_pb2

    return event_pb2.Event(wall_time=time.time(), step=steps)  # pyright: ignore[reportAttributeAccessIssue]


class WeightsAndBiases:
    """A run of a project; its id is kept in the folder, so that a resumed run goes on there."""

    def __init__(self, project: str, folder: Path, name: str, config: TrainConfig) -> None:
        with _refusing():
            import wandb  # pyright: ignore[reportMissingImports]

            self._run: Any = wandb.init(
                project=project,
                dir=str(folder),
                id=_kept_id(folder / "wandb-id"),
                name=name[-128:],  # as much as is allowed
                config=to_dict(config),
                resume="allow",
                reinit="create_new",  # beside those of the other seeds
            )

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """See `Tracker`."""
        with _refusing():
            self._run.log(dict(row), step=steps)

    def close(self) -> None:
        """See `Tracker`."""
        with _refusing():
            self._run.finish()


def _kept_id(path: Path) -> str:
    """The id in a file, or a new one, which is written there if the disk lets it."""
    with suppress(OSError):
        if id := path.read_text().strip():
            return id
    id = secrets.token_hex(8)
    with suppress(OSError):
        path.write_text(id)
    return id


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns whatever a library raises into the OSError of a `Tracker`."""
    try:
        yield
    except Exception as error:
        raise OSError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def check_trackers(config: TrainConfig) -> None:
    """Raises ValueError if the config asks for a tracker that cannot be used here."""
    if config.wandb is None:
        return
    if find_spec("wandb") is None:
        raise ValueError("--wandb needs the package wandb; install it, or leave the flag out")
    try:
        import wandb  # pyright: ignore[reportMissingImports]

        wandb.login()
    except Exception as error:  # of many classes
        raise ValueError(f"--wandb cannot be used: {_reason(error)}") from None


def trackers(
    config: TrainConfig, folder: Path, name: str, steps: int
) -> dict[str, Callable[[], Tracker]]:
    """What makes those that the config asks for, by what they are called in warnings.

    Each raises OSError if it cannot.

    Args:
        config: of the run.
        folder: for their files.
        name: what the run is called.
        steps: agent steps that were recorded before.
    """
    makers: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoard(folder / "tensorboard", steps)
    }
    project = config.wandb
    if project is not None:
        makers["wandb"] = lambda: WeightsAndBiases(project, folder, name, config)
    return makers
