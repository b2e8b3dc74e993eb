"""The record of the training of one seed."""

from collections.abc import Mapping, Sequence

from gridmem.baselines.runs.run_dir import RunFolder
from gridmem.baselines.training.trackers import Tracker

OF_EPISODES = ("episode_return", "memory_gain", "first_find_steps")
"""What there is to tell of an update only if an episode ended in it."""


class SeedLog:
    """Rows of metrics, in the folder of the seed and wherever else they are followed.

    Attributes:
        seed: which one.
        rows: one per update, plain numbers by name, with the agent steps until then.
    """

    def __init__(
        self,
        seed: int,
        folder: RunFolder,
        rows: Sequence[dict[str, float]] = (),
        trackers: Sequence[Tracker] = (),
    ) -> None:
        """A record that goes on after the rows so far."""
        self.seed = seed
        self.rows = list(rows)
        self._folder = folder
        self._trackers = list(trackers)

    def add(self, steps: int, seconds: float, metrics: Mapping[str, float]) -> dict[str, float]:
        """Records an update; what was recorded.

        Args:
            steps: agent steps so far.
            seconds: of training so far.
            metrics: of the update.
        """
        row = {"steps": float(steps), "seconds": round(seconds, 3), **metrics}
        if not row["num_episodes"]:
            row = {name: value for name, value in row.items() if name not in OF_EPISODES}
        self.rows.append(row)
        self._folder.append_metrics(row)
        self._trackers = [
            tracker
            for tracker in self._trackers
            if self._folder.attempt(type(tracker).__name__, lambda t=tracker: t.log(steps, row))
        ]
        return row

    def close(self) -> None:
        """Ends the record."""
        for tracker in self._trackers:
            self._folder.attempt("the trackers' last lines", tracker.close)
