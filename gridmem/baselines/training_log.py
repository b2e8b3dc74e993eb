"""The record of a run: rows of metrics, on the screen and in the run folder."""

import math
from pathlib import Path
from typing import Any

from gridmem.baselines.display import Display
from gridmem.baselines.run_folder import RunFolder

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

    def __init__(self, total_steps: int, folder: RunFolder) -> None:
        self.rows: list[dict[str, float]] = []
        self.ending = ""
        self.interrupted = False
        self.checkpoint: Path | None = None
        self._folder = folder
        self._display = Display(total_steps)

    def __enter__(self) -> "TrainingLog":
        self._display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)

    def add(self, steps: int, metrics: Any) -> None:
        """Records an update's metrics, a tree of named tuples; waits for the device."""
        row = {"steps": float(steps), **_flat(metrics)}
        if not row["num_episodes"]:
            row = {name: value for name, value in row.items() if name not in OF_EPISODES}
        self.rows.append(row)
        self._folder.append_metrics(row)
        self._display.show(steps, row)
        broken = [name for name, value in row.items() if not math.isfinite(value)]
        if broken and not self.ending:
            kept = f"is {self.checkpoint}" if self.checkpoint else "was not written"
            self.ending = (
                f"stopped: {broken[0]} is no longer a finite number after {steps:,} steps; the "
                f"last good checkpoint {kept}; try a lower --learning-rate"
            )

    def interrupt(self, steps: int) -> None:
        """Notes that the run was asked to end."""
        self.interrupted = True
        kept = f"is in {self.checkpoint}" if self.checkpoint else "could not be saved"
        self.ending = f"interrupted after {steps:,} steps; the agent as it was then {kept}"


def _flat(metrics: Any) -> dict[str, float]:
    row = {}
    for name, value in metrics._asdict().items():
        row.update(_flat(value) if hasattr(value, "_asdict") else {name: float(value)})
    return row
