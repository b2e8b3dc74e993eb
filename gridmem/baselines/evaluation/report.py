"""Results of an evaluation, as JSON-able data and as a table of text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from gridmem.baselines.evaluation.scenarios import Scenario
from gridmem.baselines.tables import aligned
from gridmem.envs.analysis.episode_stats import ACHIEVEMENT
from gridmem.envs.analysis.metrics import (
    MIN_FOUND_AGAIN,
    Episodes,
    level_returns,
    ratios,
    summary,
)
from gridmem.envs.analysis.score import Score, ratio_intervals, score
from gridmem.envs.config import config_to_dict
from gridmem.envs.env import Env
from gridmem.envs.environment import EpisodeStatistics, num_levels

NO_GAIN = (
    f"memory gain omitted: fewer than {MIN_FOUND_AGAIN} episodes with two finds or more "
    '("found again")'
)
PlayerName = Literal["random", "sampled", "greedy", "memory wiped"]


class Row(NamedTuple):
    """The episodes of one player in one scenario."""

    agent: str  # its name; "" for random actions
    player: PlayerName
    scenario: Scenario
    actions: UInt8[np.ndarray, "N T A"] | None  # of an `Env`
    episodes: Episodes  # numpy arrays [N, A]
    metrics: dict[str, float | None]  # `gridmem.summary` of the episodes, and what is derived of it
    intervals: dict[str, tuple[float, float] | None]  # of 95 %, by the bootstrap over levels
    score: Score | None  # None where returns have no score

    @classmethod
    def of(
        cls,
        agent: str,
        player: PlayerName,
        scenario: Scenario,
        actions: UInt8[np.ndarray, "N T A"] | None,
        episodes: Episodes,
    ) -> "Row":
        """A row with the summary, intervals and score of its episodes."""
        metrics, scored, terms = summary(episodes), None, ratios(episodes)
        if isinstance(episodes, Mapping):
            metrics |= _derived(scenario.env.stats, metrics)
        elif not scenario.why_no_score:
            scored = score(scenario.id, episodes.episode_return)
        above, below = (np.stack(side) for side in zip(*terms.values(), strict=True))
        intervals = dict(zip(terms, ratio_intervals(above, below), strict=True))
        return cls(agent, player, scenario, actions, episodes, metrics, intervals, scored)

    @property
    def returns(self) -> Float64[np.ndarray, " N"]:
        """The mean return of the agents on each level on which an episode ended."""
        return level_returns(self.episodes)

    @property
    def num_levels(self) -> int:
        """The levels that were played."""
        return num_levels(self.scenario.levels)

    @property
    def has_finds(self) -> bool:
        """Whether the episodes have finds and a memory gain."""
        return "memory_gain" in self.metrics

    @property
    def found_again(self) -> int:
        """Episodes with two finds or more: those that the memory gain is computed from."""
        episodes = self.episodes
        known = episodes if isinstance(episodes, Mapping) else episodes._asdict()
        return int((np.asarray(known.get("visits", 0)) > 1).sum())

    @property
    def shown(self) -> dict[str, float | None]:
        """The metrics without a memory gain from few episodes, and without digs if nothing digs."""
        shown = dict(self.metrics)
        if self.has_finds and self.found_again < MIN_FOUND_AGAIN:
            shown["memory_gain"] = None
        if isinstance(self.scenario.env, Env) and not self.scenario.env.config.dig_steps:
            shown.pop("digs", None)
        return shown

    @property
    def label(self) -> str:
        """Agent, player and levels in a few words."""
        levels = "" if self.scenario.kind == "test" else f"{self.scenario.kind} levels"
        player = "" if levels and self.player == "sampled" else self.player
        return ", ".join(filter(None, (self.agent, player, levels)))

    def examples(self, number: int) -> dict[str, int]:
        """Name -> index of some episodes, evenly spaced from the best return to the worst."""
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
    """All rows of an evaluation.

    Attributes:
        rows: those of an agent in its own environment come before its others.
        seed: of the players' random draws; None for a fixed key.
    """

    rows: Sequence[Row]
    seed: int | None

    def blocks(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows of each environment, with one line about it."""
        for about in dict.fromkeys(row.scenario.about for row in self.rows):
            yield about, [row for row in self.rows if row.scenario.about == about]

    def own_row(self, agent: str) -> Row:
        """The agent's sampled episodes on test levels in the environment of its training."""
        return next(
            row
            for row in self.rows
            if (row.agent, row.player) == (agent, "sampled") and row.scenario.kind != "fresh"
        )

    @property
    def gaps(self) -> list[Gap]:
        """One for each agent that played fresh levels."""
        fresh_rows = [row for row in self.rows if row.scenario.kind == "fresh"]
        return [_gap(row, self.own_row(row.agent)) for row in fresh_rows]

    @property
    def notes(self) -> list[str]:
        """Why some rows have no score or no memory gain."""
        whys = [row.scenario.why_no_score for row in self.rows if row.scenario.kind != "fresh"]
        notes = [f"no score: {why}" for why in dict.fromkeys(whys) if why]
        if any(row.shown.get("memory_gain", 0) is None for row in self.rows):
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


def _derived(
    stats: EpisodeStatistics, metrics: Mapping[str, float | None]
) -> dict[str, float | None]:
    """`EpisodeStatistics.derived` of the means; None if no episode was finished."""
    if metrics["episode_return"] is None:
        return {}
    return {name: float(value) for name, value in stats.derived(metrics).items()}


def _gap(fresh: Row, test: Row) -> Gap:
    difference = fresh.returns.mean() - test.returns.mean()
    variance = sum(row.returns.var(ddof=1) / len(row.returns) for row in (fresh, test))
    return Gap(fresh.agent, float(difference), float(variance**0.5))


def _to_dict(row: Row) -> dict[str, Any]:
    env = row.scenario.env
    finds = {"found_again": row.found_again} if row.has_finds else {}
    return {
        "agent": row.agent,
        "player": row.player,
        "env_id": row.scenario.id,
        "env": config_to_dict(env.config) if isinstance(env, Env) else env.about,
        "levels": row.scenario.kind,
        "num_levels": row.num_levels,
        "score": None if row.score is None else row.score._asdict(),
        **finds,
        **row.metrics,
        "intervals": row.intervals,
    }


_METRICS = {
    "first_find_steps": "first find",
    "later_trip_steps": "later trip",
    "later_trip_shortest": "shortest",
    "path_ratio": "path ratio",
    "unseen_steps": "unseen",
    "digs": "digs",
    "bumps": "bumps",
}
"""Metrics that the table shows without an interval -> heading of the column."""


_SHOWN_WITH_ERRORS = "episode_return", "memory_gain"


def table(report: Report) -> str:
    """The report as lines of text: one block of aligned columns for each environment."""
    lines = []
    for about, rows in report.blocks():
        kinds = dict.fromkeys(row.scenario.kind for row in rows)
        numbers = f"{rows[0].num_levels:,} {' and '.join(kinds)} levels"
        cells = [_cells(row) for row in rows]
        head = list(dict.fromkeys(name for each in cells for name in each))
        body = [[each.get(name, "") for name in head] for each in cells]
        lines += [
            f"{about}; {numbers}",
            *aligned(
                [
                    [name.partition("|")[0] for name in head],
                    *body,
                ]
            ),
            "",
        ]
        lines += _achievements(rows)
    for gap in report.gaps:
        lines.append(
            f"{gap.agent}: return on fresh levels minus that on test levels "
            f"{gap.difference:+.2f} ± {gap.standard_error:.2f}"
        )
    return "\n".join([*lines, *report.notes])


def _cells(row: Row) -> dict[str, str]:
    """Heading -> text; what follows a "|" only keeps headings apart."""
    shown = row.shown
    error = _number(shown["return_standard_error"])
    cells = {"": row.label, "return": f"{_number(shown['episode_return'])} ± {error}"}
    if row.has_finds:
        low_high = "" if row.score is None else f"{row.score.low:z.3f} to {row.score.high:z.3f}"
        around = None if shown["memory_gain"] is None else row.intervals["memory_gain"]
        cells |= {
            "score": "" if row.score is None else f"{row.score.score:z.3f}",
            "95 %|score": low_high,
            "gain": _number(shown["memory_gain"]),
            "95 %|gain": f"{around[0]:.2f} to {around[1]:.2f}" if around else "",
            "found again": f"{row.found_again:,}",
        }
    measured = {heading: name for name, heading in _METRICS.items() if name in row.metrics}
    cells |= {heading: _number(shown.get(name)) for heading, name in measured.items()}
    if not isinstance(row.scenario.env, Env):
        for column in row.scenario.env.stats.columns:
            if column.heading and column.name in shown and column.name not in _SHOWN_WITH_ERRORS:
                value = shown[column.name]
                cells[column.heading] = "" if value is None else f"{value:.{column.digits}f}"
    if shown.get("unfinished"):
        cells["unfinished"] = f"{shown['unfinished']:.1%}"
    return cells


def _achievements(rows: Sequence[Row]) -> list[str]:
    """A table of the share of finished episodes with each achievement; the most frequent first."""
    names = [name for name in rows[0].metrics if name.startswith(ACHIEVEMENT)]
    if not names:
        return []

    def share(row: Row, name: str) -> float:
        return row.metrics[name] or 0.0

    names = [name for name in names if any(share(row, name) for row in rows)]
    names.sort(key=lambda name: -max(share(row, name) for row in rows))
    cells = [
        [name.removeprefix(ACHIEVEMENT), *(f"{share(row, name):.1%}" for row in rows)]
        for name in names
    ]
    return [*aligned([["achievement", *(row.label for row in rows)], *cells]), ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
