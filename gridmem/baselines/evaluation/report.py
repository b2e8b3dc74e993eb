"""What an evaluation found: who played what, what came of it, and what that says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from gridmem.baselines.evaluation.scenarios import Course
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN, EpisodeMetrics
from gridmem.envs.analysis.score import Score
from gridmem.envs.config import config_to_dict

NO_GAIN = (
    f"no memory gain: from fewer than {MIN_FOUND_AGAIN} episodes with two finds or more "
    '("found again") it says nothing'
)
PlayerName = Literal["random", "sampled", "greedy", "memory wiped"]


class Row(NamedTuple):
    """The episodes of one player on one course."""

    agent: str  # its name; "" for random actions
    player: PlayerName
    course: Course
    actions: UInt8[np.ndarray, "N T A"]
    episodes: EpisodeMetrics  # numpy arrays [N, A]
    metrics: dict[str, float | None]  # `gridmem.summary` of them
    intervals: dict[str, tuple[float, float] | None]  # of 95 %, by the bootstrap over levels
    score: Score | None  # None where there can be none

    @property
    def returns(self) -> Float64[np.ndarray, " N"]:
        """The mean return of each level's agents."""
        return np.asarray(self.episodes.episode_return, np.float64).mean(axis=1)

    @property
    def found_again(self) -> int:
        """Episodes with two finds or more, of which the memory gain is."""
        return int((np.asarray(self.episodes.visits) > 1).sum())

    @property
    def shown(self) -> dict[str, float | None]:
        """The metrics, but for what says nothing: a gain from few episodes, digs without rock."""
        shown = dict(self.metrics)
        if self.found_again < MIN_FOUND_AGAIN:
            shown["memory_gain"] = None
        if not self.course.env.config.dig_steps:
            shown["digs"] = None
        return shown

    @property
    def who(self) -> str:
        """The player in a few words."""
        levels = "" if self.course.kind == "test" else f"{self.course.kind} levels"
        player = "" if levels and self.player == "sampled" else self.player
        return ", ".join(filter(None, (self.agent, player, levels)))

    def examples(self, number: int) -> dict[str, int]:
        """What to call some episodes -> which, evenly from the best return to the worst."""
        order = np.argsort(-self.returns, kind="stable")
        ranks = np.linspace(0, len(order) - 1, min(number, len(order))).astype(int)
        names = {(len(order) - 1) // 2: "median", len(order) - 1: "worst", 0: "best"}
        return {names.get(rank, f"rank-{rank + 1}"): int(order[rank]) for rank in ranks.tolist()}


class Gap(NamedTuple):
    """How much better an agent is on fresh levels, drawn as in training, than on test levels."""

    agent: str
    difference: float  # of the mean returns
    standard_error: float


@dataclass(frozen=True)
class Report:
    """All that an evaluation found.

    Attributes:
        rows: those of an agent in its own environment come before its others.
        seed: source of what players drew.
    """

    rows: Sequence[Row]
    seed: int

    def blocks(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows of each environment, with one line about it."""
        for about in dict.fromkeys(row.course.about for row in self.rows):
            yield about, [row for row in self.rows if row.course.about == about]

    def at_home(self, agent: str) -> Row:
        """The agent's sampled episodes on test levels in the environment of its training."""
        return next(
            row
            for row in self.rows
            if (row.agent, row.player) == (agent, "sampled") and row.course.kind != "fresh"
        )

    @property
    def gaps(self) -> list[Gap]:
        """One for each agent."""
        fresh_rows = [row for row in self.rows if row.course.kind == "fresh"]
        return [_gap(row, self.at_home(row.agent)) for row in fresh_rows]

    @property
    def notes(self) -> list[str]:
        """Why some rows have no score or no memory gain."""
        whys = [row.course.why_no_score for row in self.rows if row.course.kind != "fresh"]
        notes = [f"no score: {why}" for why in dict.fromkeys(whys) if why]
        if any(row.shown["memory_gain"] is None for row in self.rows):
            notes.append(NO_GAIN)
        return notes

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        return {
            "seed": self.seed,
            "rows": [_to_dict(row) for row in self.rows],
            "generalisation_gaps": [gap._asdict() for gap in self.gaps],
            "notes": self.notes,
        }


def _gap(fresh: Row, test: Row) -> Gap:
    difference = fresh.returns.mean() - test.returns.mean()
    variance = sum(row.returns.var(ddof=1) / len(row.returns) for row in (fresh, test))
    return Gap(fresh.agent, float(difference), float(variance**0.5))


def _to_dict(row: Row) -> dict[str, Any]:
    return {
        "agent": row.agent,
        "player": row.player,
        "env_id": row.course.id,
        "env": config_to_dict(row.course.env.config),
        "levels": row.course.kind,
        "num_levels": len(row.returns),
        "score": None if row.score is None else row.score._asdict(),
        "found_again": row.found_again,
        **row.metrics,
        "intervals": row.intervals,
    }
