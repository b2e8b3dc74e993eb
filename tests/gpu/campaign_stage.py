"""A stage of the campaign: its options, its time limit, and the programs that it runs."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = "gridmem.baselines"


class Refused(Exception):
    """What cannot be done, in a sentence."""


class Stage:
    """What a stage is given, and its clock.

    Attributes:
        options: of the command line.
        out: where its files go.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out
        self._deadline = time.monotonic() + 60 * options.minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._deadline - time.monotonic())

    def write(self, name: str, text: str) -> None:
        """A file of results, also shown."""
        (self.out / name).write_text(text)
        print(text, flush=True)

    def run(self, name: str, *argv: str, ending: float = 15.0, stop: int = signal.SIGTERM) -> int:
        """A program in a process of its own, shown and kept in a file; its exit code.

        When `ending` seconds are left it is sent `stop`, and soon after killed with all that it
        started.
        """
        command = [sys.executable, *argv]
        print("$", " ".join(command), flush=True)
        file = self.out / name
        before = file.stat().st_size if file.exists() else 0
        with open(file, "ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                process.wait(max(1.0, self.left - ending))
            except subprocess.TimeoutExpired:
                process.send_signal(stop)
                try:
                    process.wait(max(1.0, 0.6 * self.left))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        said = file.read_bytes()[before:].decode(errors="replace")
        print("\n".join(said.splitlines()[-40:]))
        print(f"exit code {code}; {self.left:.0f} s are left", flush=True)
        return code if code >= 0 else 128 - code


def config_of(stage: Stage) -> Any:
    from gridmem.baselines.config import from_file
    from gridmem.baselines.presets import preset

    name = stage.options.preset
    return from_file(Path(name)) if name.endswith(".json") else preset(name)


def run_bench(stage: Stage, out: str, *flags: str) -> int:
    argv = ["-m", f"{MODULE}.bench", "--preset", stage.options.preset, *flags]
    return stage.run("bench.txt", *argv, "--out", str(stage.out / out))


def read_jobs(file: Path | None) -> Iterator[tuple[str, list[str]]]:
    """The names and flags of a file of runs, one in a line."""
    if file is None:
        raise Refused("runs needs --jobs FILE, in which a line is a name and the flags of train")
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read ({error})") from None
    names = set()
    for number, line in enumerate(lines, 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise Refused(f"line {number} of {file} cannot be read ({error})") from None
        if words:
            name = words[0]
            if not name.replace("-", "").replace("_", "").isalnum() or name in names:
                raise Refused(
                    f"line {number} of {file} begins with {name!r}; it must be the name of a run, "
                    "of letters, digits, '-' and '_', which no other line has"
                )
            names.add(name)
            yield name, words[1:]
    if not names:
        raise Refused(f"{file} names no run; a line is a name and the flags of train")


def last_lines(file: Path) -> str:
    """The last three lines of a file."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-3:])
