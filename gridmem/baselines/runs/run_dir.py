"""The directory of a run, and what happens when the disk refuses a write."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
WEIGHTS = "agent.safetensors"
CHECKPOINT = "checkpoint"
EVALUATION = "evaluation.json"
CURVE = "curve.png"
ACHIEVEMENTS = "achievements.png"
TIME = "%Y%m%d-%H%M%S"
_BEFORE_CHECKPOINT = (".lock", WEIGHTS, f"{CHECKPOINT}.new", "config.json", METRICS)
_BEFORE_CHECKPOINT += ("seed-", "tensorboard", "wandb")
"""Prefixes of all names that a run writes before its first checkpoint is complete."""


class RunDir:
    """`config.json`, `metrics.jsonl`, `evaluation.json` and the other files of a run.

    A full disk does not stop a run: metrics wait in memory for the next try, and other files go
    to a temporary directory.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path, is_main: bool = True) -> None:
        """Touches nothing yet.

        Args:
            path: the directory.
            is_main: whether this process writes; in others only `attempt` changes the directory.
        """
        self.path = path
        self._is_main = is_main
        self._problems: dict[str, str] = {}
        self._pending: list[str] = []
        self._fallback_dir: Path | None = None
        self._lock: int | None = None

    @classmethod
    def create(cls, path: str | None, name: str, is_main: bool = True) -> "RunDir":
        """Makes a new directory: `path`, or runs/<name>-<time> if that is None.

        One that a run left before its first checkpoint is emptied, and counts as new.

        Raises:
            ValueError: if it exists or cannot be made.
        """
        directory = Path(path) if path else Path("runs") / f"{name}-{time.strftime(TIME)}"
        if not is_main:
            return cls(directory, is_main)
        try:
            if path and _is_abandoned(directory):
                cls(directory)._empty()
            else:
                directory = _make_dir(directory, numbered=path is None)
            (directory / METRICS).touch()
        except FileExistsError:
            raise ValueError(
                f"the run folder {directory} exists already; name a new one with --run-dir"
            ) from None
        except OSError as error:
            raise ValueError(
                f"cannot make the run folder {directory} ({error.strerror}); name one in a place "
                "that can be written to with --run-dir"
            ) from None
        return cls(directory)

    @classmethod
    def open(cls, path: Path, is_main: bool = True) -> "RunDir":
        """The directory of a run that is to be resumed.

        Raises:
            ValueError: if it cannot be written to.
        """
        try:
            if is_main:
                (path / METRICS).touch()
        except OSError as error:
            raise ValueError(f"cannot write to the run folder {path} ({error.strerror})") from None
        return cls(path, is_main)

    def subdir(self, name: str) -> "RunDir":
        """A directory in this one, made if it does not exist.

        Raises:
            ValueError: if it cannot be written to.
        """
        if self._is_main:
            with suppress(OSError):  # `open` raises with the reason
                (self.path / name).mkdir(exist_ok=True)
        return RunDir.open(self.path / name, self._is_main)

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

    def lock(self) -> None:
        """Keeps other processes from running here until `unlock` or the end of this process.

        Raises:
            ValueError: if another process is running here.
        """
        if self._lock is not None or not self._is_main:
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
        """Releases the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def rewind_metrics(self, steps: int) -> list[dict[str, float]]:
        """Deletes the rows of `metrics.jsonl` after `steps`; returns those that remain.

        Raises:
            ValueError: if it cannot be read or written.
        """
        try:
            rows = [row for row in read_metrics(self.path / METRICS) if row["steps"] <= steps]
            if self._is_main:
                _write(
                    self.path / METRICS, "".join(json.dumps(row) + "\n" for row in rows).encode()
                )
        except OSError as error:
            raise ValueError(f"cannot rewrite {self.path / METRICS} ({error.strerror})") from None
        return rows

    @property
    def problems(self) -> list[str]:
        """One sentence for each file that could not be written where it belongs."""
        return list(self._problems.values())

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Adds a line to `metrics.jsonl`, after those that could not be written before."""
        if not self._is_main:
            return
        finite = {name: value if isfinite(value) else None for name, value in row.items()}
        self._pending.append(json.dumps(finite) + "\n")
        consequence = "the lines are kept and tried again"
        if self.attempt(METRICS, self._append_pending, consequence):
            self._pending.clear()

    def _append_pending(self) -> None:
        path = self.path / METRICS
        size = path.stat().st_size
        try:
            with path.open("a") as file:
                file.write("".join(self._pending))
        except OSError:
            os.truncate(path, size)  # no part of a line stays
            raise

    def flush(self) -> None:
        """Last try to write pending metrics: to `metrics-rest.jsonl`."""
        if self._pending:
            rest = self.write_bytes("metrics-rest.jsonl", "".join(self._pending).encode())
            if rest:
                self._pending.clear()
                self._problems[METRICS] = (
                    f"{self.path / METRICS} lacks the lines that are in {rest}"
                )

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path | None:
        """Writes a file completely or not at all; returns its path, None if that failed."""
        return self.write_bytes(name, (json.dumps(data, indent=2) + "\n").encode())

    def write_bytes(self, name: str, data: bytes) -> Path | None:
        """Likewise, for any file."""
        return self.keep(name, lambda path: _write(path, data))

    def remove(self, name: str) -> None:
        """Deletes a file, if it exists."""
        if self._is_main:
            self.attempt(name, lambda: (self.path / name).unlink(missing_ok=True))

    def keep(self, name: str, write: Callable[[Path], None]) -> Path | None:
        """Lets `write` make a file or directory here or, failing that, in a temporary directory.

        Args:
            name: of the file or directory.
            write: makes it at a path; raises OSError if the disk refuses.

        Returns:
            its path, or None if it could not be written at all.
        """
        path = self.path / name
        if not self._is_main or self.attempt(name, lambda: write(path), ""):
            return path
        problem = self._problems[name]
        if not self.attempt(
            name, lambda: write(self._fallback(name)), "the temporary folder failed, too"
        ):
            return None
        self._problems[name] = f"{problem}it is in {self._fallback_dir} instead"
        return self._fallback(name)

    def _fallback(self, name: str) -> Path:
        self._fallback_dir = self._fallback_dir or Path(tempfile.mkdtemp(prefix="gridmem-"))
        return self._fallback_dir / name

    def attempt(
        self,
        name: str,
        action: Callable[[], None],
        consequence: str = "the run went on without it",
    ) -> bool:
        """Whether an action succeeds; if it raises OSError, that becomes the problem of `name`."""
        try:
            action()
        except OSError as error:
            reason = error.strerror or str(error)
            self._problems[name] = f"could not write {self.path / name} ({reason}); {consequence}"
            return False
        self._problems.pop(name, None)
        return True


def achievements_file(id: str) -> str:
    """The name of the picture of one environment of a mixture."""
    return f"achievements-{id}.png"


def seed_dirs(path: Path) -> list[Path]:
    """The directories of the seeds of a run, by their numbers; empty if it has only one seed."""
    numbered = [each for each in path.glob("seed-*") if each.name.removeprefix("seed-").isdigit()]
    return sorted(numbered, key=lambda each: int(each.name.removeprefix("seed-")))


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
            rows.append({name: float(x) for name, x in data.items() if isinstance(x, int | float)})
    return rows


def _make_dir(directory: Path, numbered: bool) -> Path:
    """Makes the directory or, if it exists and `numbered`, path-2, path-3 and so on."""
    for number in count(1):
        candidate = directory if number == 1 else directory.with_name(f"{directory.name}-{number}")
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            if not (numbered and candidate.exists()):
                raise
        else:
            return candidate
    raise AssertionError


def _is_abandoned(directory: Path) -> bool:
    """Whether a run ended here before its first checkpoint, and nothing else is here."""
    log = directory / METRICS
    if not log.is_file():
        return False
    names = {path.name for path in directory.iterdir()}
    rows = log.read_bytes()
    # The first checkpoint follows the first row.
    started = not rows or ("config.json" in names and rows.count(b"\n") <= 1)
    known = all(name.startswith(_BEFORE_CHECKPOINT) for name in names)
    return started and known and all(_is_abandoned(seed) for seed in seed_dirs(directory))


def _write(path: Path, data: bytes) -> None:
    """Writes a file completely or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
