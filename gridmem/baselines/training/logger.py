"""What is told of a run while it goes on, and how it ended if it ended early."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridmem.baselines.training.display import Display
from gridmem.baselines.training.seed_logger import OF_EPISODES, SeedLog
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN


class TrainingLog:
    """Takes in the metrics of each update.

    Attributes:
        ending: why the run ended early; empty if it did not.
        interrupted: whether it was a person or the system that ended it.
        checkpoint: where the last checkpoint is; None if there is none.
    """

    def __init__(
        self, total_steps: int, seeds: Sequence[SeedLog], kept_in: Path, resumed: bool = False
    ) -> None:
        """Nothing has happened yet.

        Args:
            total_steps: agent steps to train each seed for.
            seeds: the record of each.
            kept_in: where checkpoints should be.
            resumed: whether one is there.
        """
        self.ending = ""
        self.interrupted = False
        self.checkpoint: Path | None = kept_in if resumed else None
        self._seeds = list(seeds)
        self._kept_in = kept_in
        self._display = Display(total_steps, len(self._seeds))
        self._warned = False

    def __enter__(self) -> "TrainingLog":
        self._display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)
        for seed in self._seeds:
            seed.close()

    def add(self, steps: int, seconds: float, metrics: Any) -> None:
        """Records an update.

        Args:
            steps: agent steps of each seed so far.
            seconds: of training so far.
            metrics: a tree of named tuples, leaves [S] or, of a single seed, without axes; waits
                for the device.
        """
        flat = {name: np.atleast_1d(value) for name, value in _flat(metrics).items()}
        rows = [
            seed.add(steps, seconds, {name: float(value[number]) for name, value in flat.items()})
            for number, seed in enumerate(self._seeds)
        ]
        self._display.show(steps, _over_seeds(rows))
        outside = max(row["target_outside"] for row in rows)
        if outside and not self._warned:
            self._warned = True
            self._display.note(
                f"warning: after {steps:,} steps {outside:.2%} of the value targets "
                "are beyond the histogram; widen it with --value-min and --value-max"
            )
        broken = [
            name if len(rows) == 1 else f"{name} of seed {seed.seed}"
            for seed, row in zip(self._seeds, rows, strict=True)
            for name, value in row.items()
            if not math.isfinite(value)
        ]
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
        if self.checkpoint == self._kept_in:
            self.ending += f"to go on: {resume}"
        elif self.checkpoint:
            self.ending += f"the agent as it was then is in {self.checkpoint}"
        else:
            self.ending += "the agent as it was then could not be saved"

    def run_out_of_memory(self, resume: str) -> None:
        """Notes that the device has no room; `resume` is the command to go on with."""
        lower = "--num-seeds or --num-envs" if len(self._seeds) > 1 else "--num-envs"
        self.ending = (
            f"stopped: the device is out of memory; lower {lower} or raise --num-minibatches "
            "(--plan shows what takes how much)"
        )
        if self.checkpoint:
            self.ending += f"; to go on as it was: {resume}"


def _over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The means over the seeds of what the episodes came to, where that says anything."""
    told = {name: [row[name] for row in rows if name in row] for name in OF_EPISODES}
    if any(row["found_again"] < MIN_FOUND_AGAIN for row in rows):
        told["memory_gain"] = []
    return {name: sum(values) / len(values) for name, values in told.items() if values}


def _flat(metrics: Any) -> dict[str, Any]:
    row = {}
    for name, value in metrics._asdict().items():
        row.update(_flat(value) if hasattr(value, "_asdict") else {name: value})
    return row
