"""The folder that a run leaves behind, and what happens when the disk refuses."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class RunFolder:
    """`config.json`, `metrics.jsonl`, `eval.json` and whatever else a run writes.

    A disk that fills up does not stop a run: metrics wait in memory for the next try, and other
    files go to a temporary folder.

    Attributes:
        path: the folder.
        problems: one sentence per write that failed, without repetition.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._pending: list[str] = []
        self._refuge: Path | None = None

    @classmethod
    def create(cls, path: str | None, name: str) -> "RunFolder":
        """Makes a new folder: `path`, or runs/<name>-<time> if that is None.

        Raises:
            ValueError: if it exists or cannot be made.
        """
        folder = Path(path) if path else Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            folder.mkdir(parents=True)
            (folder / "metrics.jsonl").touch()
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

    def write_json(self, name: str, data: Mapping[str, Any]) -> Path | None:
        """Writes a file of the folder whole or not at all; where it is, if it could be written."""
        text = json.dumps(data, indent=2) + "\n"
        return self.keep(name, lambda path: _write(path, text))

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Adds a line to `metrics.jsonl`, after those that could not be written before."""
        self._pending.append(json.dumps(row) + "\n")
        path = self.path / "metrics.jsonl"
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
            self._complain(path, error, "the lines are kept and tried again")
        else:
            self._pending.clear()

    def keep(self, name: str, write: Callable[[Path], None]) -> Path | None:
        """Lets `write` make a file or folder here or, failing that, in a temporary folder."""
        try:
            write(self.path / name)
            return self.path / name
        except (OSError, ValueError, RuntimeError) as error:
            problem = error
        try:
            if self._refuge is None:
                self._refuge = Path(tempfile.mkdtemp(prefix="gridmem-"))
            write(self._refuge / name)
        except (OSError, ValueError, RuntimeError) as error:
            self._complain(self.path / name, error, "and neither to the temporary folder")
            return None
        self._complain(self.path / name, problem, f"it is in {self._refuge} instead")
        return self._refuge / name

    def flush(self) -> None:
        """Last try to write the metrics that are still waiting; they too find a refuge."""
        if self._pending:
            rows = "".join(self._pending)
            self.keep("metrics-rest.jsonl", lambda path: _write(path, rows))

    def _complain(self, path: Path, error: Exception, instead: str) -> None:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        problem = f"could not write {path} ({reason}); {instead}"
        if problem not in self.problems:
            self.problems.append(problem)


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
