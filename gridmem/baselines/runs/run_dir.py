"""The folder that a run leaves behind, and what happens when the disk refuses."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
WEIGHTS = "agent.safetensors"
TIME = "%Y%m%d-%H%M%S"
_BEFORE_CHECKPOINT = (".lock", "agent.safetensors", "checkpoint.new", "config.json", METRICS)
_BEFORE_CHECKPOINT += ("seed-", "tensorboard", "wandb")
"""How the names begin of all that a run writes before its first checkpoint is whole."""


class RunFolder:
    """`config.json`, `metrics.jsonl`, `eval.json` and whatever else a run writes.

    A disk that fills up does not stop a run: metrics wait in memory for the next try, and other
    files go to a temporary folder.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._problems: dict[str, str] = {}
        self._pending: list[str] = []
        self._refuge: Path | None = None
        self._lock: int | None = None

    @classmethod
    def create(cls, path: str | None, name: str) -> "RunFolder":
        """Makes a new folder: `path`, or runs/<name>-<time> if that is None.

        One that a run left before its first checkpoint is emptied, and counts as new.

        Raises:
            ValueError: if it exists or cannot be made.
        """
        folder = Path(path) if path else Path("runs") / f"{name}-{time.strftime(TIME)}"
        try:
            if path and _is_left(folder):
                cls(folder)._empty()
            else:
                folder = _made(folder, or_another=path is None)
            (folder / METRICS).touch()
        except FileExistsError:
            raise ValueError(
                f"the run folder {folder} exists already; name a new one with --run-dir"
            ) from None
        except OSError as error:
            raise ValueError(
                f"cannot make the run folder {folder} ({error.strerror}); name one in a place "
                "that can be written to with --run-dir"
            ) from None
        return cls(folder)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run that is to be resumed.

        Raises:
            ValueError: if it cannot be written to.
        """
        try:
            (path / METRICS).touch()
        except OSError as error:
            raise ValueError(f"cannot write to the run folder {path} ({error.strerror})") from None
        return cls(path)

    def _empty(self) -> None:
        """Deletes all but the lock, which must be free."""
        self.lock()
        try:
            for path in self.path.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != ".lock":
                    path.unlink()
        finally:
            self.unlock()

    def part(self, name: str) -> "RunFolder":
        """A folder in this one, made if it is not there.

        Raises:
            ValueError: if it cannot be written to.
        """
        with suppress(OSError):  # opening it says what is wrong
            (self.path / name).mkdir(exist_ok=True)
        return type(self).open(self.path / name)

    def lock(self) -> None:
        """Keeps other processes from running here until `unlock`, or for as long as this one lives.

        Raises:
            ValueError: if one does.
        """
        if self._lock is not None:
            return
        try:
            import fcntl

            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            raise ValueError(f"another process is running in {self.path}; wait for it") from None
        except (ImportError, OSError):  # a system, or a file system, without locks
            pass

    def unlock(self) -> None:
        """Lets others in again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def rewind_metrics(self, steps: int) -> list[dict[str, float]]:
        """Takes back what `metrics.jsonl` tells of later than `steps`; returns what remains.

        Raises:
            ValueError: if it cannot be read or written.
        """
        try:
            rows = self._rows_until(steps)
            text = "".join(json.dumps(row) + "\n" for row in rows)
            _write(self.path / METRICS, text.encode())
        except OSError as error:
            raise ValueError(f"cannot rewrite {self.path / METRICS} ({error.strerror})") from None
        return rows

    def _rows_until(self, steps: int) -> list[dict[str, float]]:
        return [row for row in read_metrics(self.path / METRICS) if row["steps"] <= steps]

    @property
    def problems(self) -> list[str]:
        """One sentence for each file that could not be written where it belongs."""
        return list(self._problems.values())

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path | None:
        """Writes a file of the folder whole or not at all; where it is, if it could be written."""
        return self.write_bytes(name, (json.dumps(data, indent=2) + "\n").encode())

    def write_bytes(self, name: str, data: bytes) -> Path | None:
        """Likewise, for any file."""
        return self.keep(name, lambda path: _write(path, data))

    def remove(self, name: str) -> None:
        """Deletes a file of the folder, if there is one."""
        self.attempt(name, lambda: (self.path / name).unlink(missing_ok=True))

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Adds a line to `metrics.jsonl`, after those that could not be written before."""
        finite = {name: value if isfinite(value) else None for name, value in row.items()}
        self._pending.append(json.dumps(finite) + "\n")
        path = self.path / METRICS
        try:
            size = path.stat().st_size
            try:
                with path.open("a") as file:
                    file.write("".join(self._pending))
            except OSError:
                # Part of the text may have reached the disk: take it back, to write it whole.
                with path.open("r+") as file:
                    file.truncate(size)
                raise
        except OSError as error:
            self._complain(METRICS, error, "the lines are kept and tried again")
        else:
            self._pending.clear()
            self._problems.pop(METRICS, None)

    def keep(self, name: str, write: Callable[[Path], None]) -> Path | None:
        """Lets `write` make a file or folder here or, failing that, in a temporary folder.

        Args:
            name: what it is called.
            write: makes it at a path; an OSError says that the disk refused.

        Returns:
            where it is, or None if it could not be written at all.
        """
        try:
            write(self.path / name)
            self._problems.pop(name, None)
            return self.path / name
        except OSError as error:
            problem = error
        try:
            if self._refuge is None:
                self._refuge = Path(tempfile.mkdtemp(prefix="gridmem-"))
            write(self._refuge / name)
        except OSError as error:
            self._complain(name, error, "nor in the temporary folder")
            return None
        self._complain(name, problem, f"it is in {self._refuge} instead")
        return self._refuge / name

    def attempt(self, name: str, write: Callable[[], None]) -> bool:
        """Does what can be done without; whether the disk let it."""
        try:
            write()
        except OSError as error:
            self._complain(name, error, "the run went on without it")
            return False
        return True

    def flush(self) -> None:
        """Last try to write the metrics that are still waiting; they too find a refuge."""
        if self._pending:
            rest = self.write_bytes("metrics-rest.jsonl", "".join(self._pending).encode())
            if rest:
                self._pending.clear()
                self._problems[METRICS] = (
                    f"{self.path / METRICS} lacks the lines that are in {rest}"
                )

    def _complain(self, name: str, error: OSError, instead: str) -> None:
        reason = error.strerror or str(error)
        self._problems[name] = f"could not write {self.path / name} ({reason}); {instead}"


def seed_folders(path: Path) -> list[Path]:
    """The folders of the seeds of a run, in the order of their numbers; empty if it has but one."""
    folders = [each for each in path.glob("seed-*") if each.name.removeprefix("seed-").isdigit()]
    return sorted(folders, key=lambda each: int(each.name.removeprefix("seed-")))


class UnwrittenFolder(RunFolder):
    """The folder of a run to a process that leaves the writing to another one."""

    @classmethod
    def create(cls, path: str | None, name: str) -> "UnwrittenFolder":
        """Where the run is, if it was said."""
        return cls(Path(path or name))

    @classmethod
    def open(cls, path: Path) -> "UnwrittenFolder":
        """Where the run is."""
        return cls(path)

    def part(self, name: str) -> "UnwrittenFolder":
        """See `RunFolder`."""
        return UnwrittenFolder(self.path / name)

    def lock(self) -> None:
        """Nothing: the process that writes does."""

    def rewind_metrics(self, steps: int) -> list[dict[str, float]]:
        """What would remain."""
        try:
            return self._rows_until(steps)
        except OSError as error:
            raise ValueError(f"cannot read {self.path / METRICS} ({error.strerror})") from None

    def remove(self, name: str) -> None:
        """Nothing."""

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Nothing."""

    def keep(self, name: str, write: Callable[[Path], None]) -> Path | None:
        """Where the other process keeps it, as far as is known here."""
        return self.path / name


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl`, numbers only, without a line that was cut off by a kill.

    Raises:
        OSError: if it cannot be read.
    """
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        data: Any = None
        with suppress(ValueError):
            data = json.loads(line)
        if isinstance(data, dict) and "steps" in data:
            numbers = {name: x for name, x in data.items() if isinstance(x, int | float)}
            rows.append({name: float(x) for name, x in numbers.items()})
    return rows


def _made(folder: Path, or_another: bool) -> Path:
    """Makes the folder or, if it is there and another one will do, path-2, path-3 or so on."""
    number, candidate = 1, folder
    while True:
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            if not (or_another and candidate.exists()):
                raise
            number += 1
            candidate = folder.with_name(f"{folder.name}-{number}")
        else:
            return candidate


def _is_left(folder: Path) -> bool:
    """Whether a run ended here before its first checkpoint, and nothing else is here."""
    log = folder / METRICS
    if not log.is_file():
        return False
    names = {path.name for path in folder.iterdir()}
    rows = log.read_bytes()
    # The first checkpoint follows the first row.
    begun = not rows or ("config.json" in names and rows.count(b"\n") <= 1)
    known = all(name.startswith(_BEFORE_CHECKPOINT) for name in names)
    return begun and known and all(_is_left(part) for part in seed_folders(folder))


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
