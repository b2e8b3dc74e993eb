"""The record of a run: rows of metrics, on the screen and in the run folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridmem.baselines.display import Display
from gridmem.baselines.run_folder import RunFolder
from gridmem.baselines.trackers import Tracker

OF_EPISODES = ("episode_return", "memory_gain", "first_find_steps")
"""What there is to tell of an update only if an episode ended in it."""


class TrainingLog:
    """Takes in the metrics of each update.

    Attributes:
        rows: one per update, plain numbers by name, with the agent steps until then.
        ending: why the run ended early; empty if it did not.
        interrupted: whether it was a person or the system that ended it.
        checkpoint: where the last checkpoint is; None if there is none.
    """

    def __init__(
        self,
        total_steps: int,
        folder: RunFolder,
        rows: Sequence[dict[str, float]] = (),
        trackers: Sequence[Tracker] = (),
    ) -> None:
        """A record that goes on after the rows of the run so far."""
        self.rows = list(rows)
        self.ending = ""
        self.interrupted = False
        self.checkpoint: Path | None = None
        self._folder = folder
        self._trackers = list(trackers)
        self._display = Display(total_steps)
        self._warned = False

    def __enter__(self) -> "TrainingLog":
        self._display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)
        for tracker in self._trackers:
            self._folder.attempt("the trackers' last lines", tracker.close)

    def add(self, steps: int, seconds: float, metrics: Any) -> None:
        """Records an update.

        Args:
            steps: agent steps so far.
            seconds: of training so far.
            metrics: a tree of named tuples; waits for the device.
        """
        row = {"steps": float(steps), "seconds": round(seconds, 3), **_flat(metrics)}
        if not row["num_episodes"]:
            row = {name: value for name, value in row.items() if name not in OF_EPISODES}
        self.rows.append(row)
        self._folder.append_metrics(row)
        self._trackers = [
            tracker
            for tracker in self._trackers
            if self._folder.attempt(type(tracker).__name__, lambda t=tracker: t.log(steps, row))
        ]
        self._display.show(steps, row)
        if row["target_outside"] and not self._warned:
            self._warned = True
            self._display.note(
                f"warning: after {steps:,} steps {row['target_outside']:.2%} of the value targets "
                "are beyond the histogram; widen it with --value-min and --value-max"
            )
        broken = [name for name, value in row.items() if not math.isfinite(value)]
        if broken and not self.ending:
            kept = f"is {self.checkpoint}" if self.checkpoint else "was not written"
            self.ending = (
                f"stopped: {broken[0]} is no longer a finite number after {steps:,} steps; the "
                f"last good checkpoint {kept}; try a lower --learning-rate"
            )

    def interrupt(self, steps: int, resume: str) -> None:
        """Notes that the run was asked to end; `resume` is the command to go on with."""
        self.interrupted = True
        self.ending = f"interrupted after {steps:,} steps; "
        if self.checkpoint == self._folder.path / "checkpoint":
            self.ending += f"to go on: {resume}"
        elif self.checkpoint:
            self.ending += f"the agent as it was then is in {self.checkpoint}"
        else:
            self.ending += "the agent as it was then could not be saved"

    def run_out_of_memory(self, resume: str) -> None:
        """Notes that the device has no room; `resume` is the command to go on with."""
        self.ending = (
            "stopped: the device is out of memory; lower --num-envs or raise --num-minibatches "
            "(--plan shows what takes how much)"
        )
        if self.checkpoint:
            self.ending += f"; to go on as it was: {resume}"


def _flat(metrics: Any) -> dict[str, float]:
    row = {}
    for name, value in metrics._asdict().items():
        row.update(_flat(value) if hasattr(value, "_asdict") else {name: float(value)})
    return row
