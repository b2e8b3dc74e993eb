"""Trackers of metrics beside `metrics.jsonl`: TensorBoard and Weights & Biases."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.runs.run_dir import RunDir


@runtime_checkable
class Tracker(Protocol):
    """Records metrics; raises OSError if it cannot any more."""

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """Records the metrics of an update."""
        ...

    def close(self) -> None:
        """Ends the record."""
        ...


class TensorBoard:
    """Event files in a folder.

    The writer is the synchronous one of tensorboardX: its threaded writer deadlocks once a write
    has failed.
    """

    def __init__(self, folder: Path, steps: int = 0) -> None:
        """A new file in the folder; TensorBoard drops events of the others after `steps`."""
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
    """A run of a project; its id is stored in the folder, for a resumed run to continue it."""

    def __init__(self, project: str, folder: Path, name: str, config: TrainConfig) -> None:
        with _as_os_error():
            import wandb  # pyright: ignore[reportMissingImports]

            self._run: Any = wandb.init(
                project=project,
                dir=str(folder),
                id=_stored_id(folder / "wandb-id"),
                name=name[-128:],  # the longest allowed
                config=to_dict(config),
                resume="allow",
                reinit="create_new",  # beside those of the other seeds
            )

    def log(self, steps: int, row: Mapping[str, float]) -> None:
        """See `Tracker`."""
        with _as_os_error():
            self._run.log(dict(row), step=steps)

    def close(self) -> None:
        """See `Tracker`."""
        with _as_os_error():
            self._run.finish()


def _stored_id(path: Path) -> str:
    """The id in a file, or a new one, which is written there if possible."""
    with suppress(OSError):
        if id := path.read_text().strip():
            return id
    id = secrets.token_hex(8)
    with suppress(OSError):
        path.write_text(id)
    return id


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turns any exception of a library into the OSError of a `Tracker`."""
    try:
        yield
    except Exception as error:
        raise OSError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def check_trackers(config: TrainConfig) -> None:
    """Raises ValueError if a tracker of the config cannot be used."""
    if config.wandb is None:
        return
    if find_spec("wandb") is None:
        raise ValueError("--wandb needs the package wandb; install it, or leave the flag out")
    try:
        import wandb  # pyright: ignore[reportMissingImports]

        wandb.login()
    except Exception as error:  # of many classes
        raise ValueError(f"--wandb cannot be used: {_reason(error)}") from None


def open_trackers(config: TrainConfig, run_dir: RunDir, name: str, steps: int) -> list[Tracker]:
    """The trackers of a config; one that fails is a problem of the run directory.

    Args:
        config: of the run.
        run_dir: for their files.
        name: of the run.
        steps: agent steps recorded before.
    """
    opened: list[Tracker] = []
    path, project = run_dir.path, config.wandb
    run_dir.attempt("tensorboard", lambda: opened.append(TensorBoard(path / "tensorboard", steps)))
    if project is not None:
        run_dir.attempt(
            "wandb", lambda: opened.append(WeightsAndBiases(project, path, name, config))
        )
    return opened
