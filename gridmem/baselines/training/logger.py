"""Metrics of a run in progress: rows of each seed, progress, and why a run ended early."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridmem.baselines.method import Method
from gridmem.baselines.runs.run_dir import RunDir
from gridmem.baselines.training.display import Display
from gridmem.baselines.training.trackers import Tracker


class SeedLogger:
    """Writes the metrics of one seed to `metrics.jsonl` and to trackers.

    Attributes:
        seed: its number.
        rows: one per update, plain numbers by name, with the agent steps until then.
    """

    def __init__(
        self,
        seed: int,
        run_dir: RunDir,
        rows: Sequence[dict[str, float]] = (),
        trackers: Sequence[Tracker] = (),
    ) -> None:
        """Continues after `rows`."""
        self.seed = seed
        self.rows = list(rows)
        self._run_dir = run_dir
        self._trackers = list(trackers)

    def add(self, steps: int, seconds: float, metrics: Mapping[str, float]) -> dict[str, float]:
        """Records an update; returns its row.

        Args:
            steps: agent steps so far.
            seconds: of training so far.
            metrics: of the update.
        """
        row = {"steps": float(steps), "seconds": round(seconds, 3), **metrics}
        self.rows.append(row)
        self._run_dir.append_metrics(row)
        self._trackers = [
            tracker
            for tracker in self._trackers
            if self._run_dir.attempt(type(tracker).__name__, lambda t=tracker: t.log(steps, row))
        ]
        return row

    def close(self) -> None:
        """Closes the trackers."""
        for tracker in self._trackers:
            self._run_dir.attempt(f"{type(tracker).__name__}, at its end", tracker.close)


class TrainingLogger:
    """Records the metrics of each update of all seeds, and shows progress.

    Attributes:
        ending: why the run ended early; empty if it did not.
        interrupted: whether it was ended by a signal.
        checkpoint: path of the last checkpoint; None without one.
    """

    def __init__(
        self,
        method: Method,
        total_steps: int,
        seeds: Sequence[SeedLogger],
        checkpoint: Path,
        resume: str,
        resumed: bool = False,
    ) -> None:
        """Nothing is recorded yet.

        Args:
            method: that trains.
            total_steps: agent steps to train each seed for.
            seeds: the logger of each.
            checkpoint: where checkpoints should be.
            resume: the command that resumes the run.
            resumed: whether there is a checkpoint.
        """
        self.ending = ""
        self.interrupted = False
        self.checkpoint: Path | None = checkpoint if resumed else None
        self._method, self._seeds = method, list(seeds)
        self._columns = method.config.columns
        self._of_episodes = [each.name for each in method.config.make_env().stats.columns]
        self._checkpoint_path, self._resume = checkpoint, resume
        self._display = Display(total_steps, len(self._seeds))
        self._warned = False

    def __enter__(self) -> "TrainingLogger":
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
        each = [
            self._present({name: float(value[number]) for name, value in flat.items()})
            for number in range(len(self._seeds))
        ]
        rows = [seed.add(steps, seconds, row) for seed, row in zip(self._seeds, each, strict=True)]
        self._display.show(steps, self._shown(rows))
        warnings = [warning for row in rows if (warning := self._method.warnings(row))]
        if warnings and not self._warned:
            self._warned = True
            self._display.note(f"warning: after {steps:,} steps {max(warnings)}")
        non_finite = [
            name if len(rows) == 1 else f"{name} of seed {seed.seed}"
            for seed, row in zip(self._seeds, rows, strict=True)
            for name, value in row.items()
            if not math.isfinite(value)
        ]
        if non_finite and not self.ending:
            kept = f"is {self.checkpoint}" if self.checkpoint else "was not written"
            self.ending = (
                f"stopped: {non_finite[0]} is no longer a finite number after {steps:,} steps; the "
                f"last good checkpoint {kept}"
            )
            if "optimizer" in self._method.config.method.sections:
                self.ending += "; try a lower --learning-rate"

    def _present(self, row: dict[str, float]) -> dict[str, float]:
        """The metrics of an update, without those of episodes if none has ended in it."""
        counts = {
            name.removesuffix("num_episodes"): count
            for name, count in row.items()
            if name == "num_episodes" or name.endswith("/num_episodes")  # of a mixture
        }
        absent = [
            name
            for name in self._of_episodes
            for begin, count in counts.items()
            if name.startswith(begin) and not count
        ]
        return {name: value for name, value in row.items() if name not in absent}

    def _shown(self, rows: Sequence[Mapping[str, float]]) -> list[str]:
        """The means over seeds of the metrics that have a curve, as text."""
        texts = []
        for column in self._columns:
            values = [row[column.name] for row in rows if column.name in row]
            counts = [row.get(column.counted_by, 0) for row in rows if column.counted_by]
            few = any(count < column.least for count in counts)
            if values and column.axis and not few:
                mean = sum(values) / len(values)
                texts.append(f"{column.heading} {mean:.{column.digits}f}")
        return texts

    def interrupt(self, steps: int) -> None:
        """Notes that a signal ended the run."""
        self.interrupted = True
        self.ending = f"interrupted after {steps:,} steps; "
        if self.checkpoint == self._checkpoint_path:
            self.ending += f"to resume: {self._resume}"
        elif self.checkpoint:
            self.ending += f"the last checkpoint is {self.checkpoint}"
        else:
            self.ending += "the last checkpoint could not be saved"

    def run_out_of_memory(self) -> None:
        """Notes that the device ran out of memory."""
        lower = "--num-seeds or --num-envs" if len(self._seeds) > 1 else "--num-envs"
        self.ending = (
            f"stopped: the device is out of memory; lower {lower} or raise --num-minibatches "
            "(--plan shows the memory of each part)"
        )
        if self.checkpoint:
            self.ending += f"; to resume with the same settings: {self._resume}"


def _flat(metrics: Any) -> dict[str, Any]:
    """Metrics by name, of a tree of dicts and named tuples."""
    row = {}
    for name, value in (metrics if isinstance(metrics, Mapping) else metrics._asdict()).items():
        inner = isinstance(value, Mapping) or hasattr(value, "_asdict")
        row.update(_flat(value) if inner else {name: value})
    return row
