"""Output of a run: lines of text and progress, by the main process only."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gridmem.baselines.ppo.sharding import is_main_process

PLAIN_INTERVAL_SECONDS = 10.0


def echo(text: str) -> None:
    """Prints a line, in the main process only; a full disk or a closed pipe ends nothing."""
    if is_main_process() and sys.stdout is not None:
        with suppress(OSError):
            print(text, flush=True)


class Display:
    """A live line of progress or, if stdout is no terminal, a plain line every ten seconds."""

    def __init__(self, total_steps: int, num_seeds: int = 1) -> None:
        """Shows nothing yet.

        Args:
            total_steps: agent steps that each seed will be trained for.
            num_seeds: trained side by side; the speed shown is that of all.
        """
        output: Any = None if sys.stdout is None else _Lossy(sys.stdout)
        quiet = output is None or not is_main_process()
        self.console = Console(file=output, quiet=quiet, highlight=False, soft_wrap=True)
        self._total_steps, self._num_seeds = total_steps, num_seeds
        self._started, self._start_steps = time.monotonic(), 0  # set again after compilation
        self._printed = self._started
        self._scores = ""
        self._progress = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._progress.add_task(
            "train", total=total_steps, speed="compiling", scores=""
        )

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def note(self, sentence: str) -> None:
        """Prints a line above the progress."""
        self.console.print(sentence)

    def show(self, steps: int, metrics: Sequence[str]) -> None:
        """Updates the progress; without metrics the last ones stay."""
        now = time.monotonic()
        if not self._start_steps:  # the first update is compilation
            self._started, self._start_steps = now, steps
        speed = (steps - self._start_steps) / max(now - self._started, 1e-9)
        of_all = speed * self._num_seeds
        speed_text = f"{of_all:,.0f} steps/s" if speed else "compiled"
        self._scores = "  ".join(metrics) or self._scores
        self._progress.update(self._task, completed=steps, speed=speed_text, scores=self._scores)
        due = now - self._printed > PLAIN_INTERVAL_SECONDS or steps >= self._total_steps
        if speed and due and not self.console.is_terminal:
            self._printed = now
            left = (self._total_steps - steps) / max(speed, 1e-9)
            self.console.print(
                f"{steps / self._total_steps:4.0%}  {steps:,} steps  {speed_text}  "
                f"{left:.0f} s left  {self._scores}"
            )


class _Lossy:
    """A text stream that drops what it cannot write."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
