"""The returns that a trained agent reaches, by its target."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.evaluator import Entry
from gridmem.baselines.evaluation.report import PlayerName, Row
from gridmem.baselines.evaluation.scenarios import (
    fresh_scenario,
    held_out_scenario,
    own_scenario,
)
from gridmem.baselines.offline.datasets import RecordedPlay
from gridmem.baselines.offline.decision_transformer import target_array
from gridmem.baselines.offline.settings import AUTO, DecisionTransformerConfig
from gridmem.baselines.runs.plots import escape, png
from gridmem.envs.environment import Discrete, evaluation_keys

TEST_LEVELS = 1000
NUM_BINS, MOST_BINS = 40, 100


class TargetReturn(NamedTuple):
    """The episodes of an agent with a target."""

    target: str  # "" of an agent without one
    player: PlayerName
    row: Row

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.row.returns.mean())

    @property
    def error(self) -> float:
        """Its standard error over levels."""
        returns = self.row.returns
        return float(returns.std(ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else 0.0


def with_target(agent: Agent, target: str) -> Agent:
    """The same agent with another target; itself if it has none."""
    if not has_target(agent):
        return agent
    return replace(agent, params={**agent.params, "target": target_array(target)})


def has_target(agent: Agent) -> bool:
    """Whether a return can be asked of it."""
    settings = agent.config.method
    return isinstance(settings, DecisionTransformerConfig) and settings.conditioned


def play_targets(
    agent: Agent, targets: Sequence[str], num_levels: int, progress: Callable[[str], None]
) -> list[TargetReturn]:
    """Plays levels that are not the test levels with each target, sampled and greedy."""
    players: Sequence[PlayerName] = ("sampled", "greedy")
    if not isinstance(agent.env.actions, Discrete):
        players = ("greedy",)  # both are the same
    _, key = evaluation_keys()
    scenario, found = held_out_scenario(agent.env_id, agent.env, num_levels), []
    for target in targets if has_target(agent) else [""]:
        one = with_target(agent, target)
        for player in players:
            progress(f"target {target}, {player}" if target else player)
            entry = Entry("agent", player, scenario)
            found.append(
                TargetReturn(target, player, entry.play(one.method.acting, one.params, key, False))
            )
    return found


def on_test_levels(agent: Agent, chosen: TargetReturn) -> TargetReturn:
    """The episodes with that target and player on levels that nothing was chosen by."""
    one = with_target(agent, chosen.target)
    _, key = evaluation_keys()
    scenario = own_scenario(one, TEST_LEVELS)
    if scenario.kind != "test":  # no levels are stored
        scenario = fresh_scenario(one, TEST_LEVELS)
    entry = Entry("agent", chosen.player, scenario)
    return chosen._replace(row=entry.play(one.method.acting, one.params, key, True))


def normalized(value: float, play: RecordedPlay) -> float | None:
    """D4RL's score: 0 for random actions, 100 for the expert; None if they are not known."""
    if play.scores is None or play.scores[0] == play.scores[1]:
        return None
    random, expert = play.scores
    return 100 * (value - random) / (expert - random)


def lines_of(found: Sequence[TargetReturn], play: RecordedPlay) -> list[list[str]]:
    """The cells of a table."""
    lines = [["target", "actions", "return", "normalized"]]
    for each in found:
        score = normalized(each.mean, play)
        cells = f"{each.mean:.2f} ± {each.error:.2f}", "" if score is None else f"{score:.1f}"
        lines.append([each.target or "none", each.player, *cells])
    return lines


def has_whole_returns(play: RecordedPlay) -> bool:
    """Whether all returns in the data are whole numbers."""
    return bool((play.returns == play.returns.round()).all())


def draw(title: str, found: Sequence[TargetReturn], play: RecordedPlay) -> bytes:
    """A PNG: return against target, and below it the returns in the data."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 6), dpi=120, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    colors = {"sampled": "#1f78b4", "greedy": "#33a02c"}
    for player, color in colors.items():
        mine = [each for each in found if each.player == player]
        numbers = [each for each in mine if each.target not in ("", AUTO)]
        if numbers:
            top.errorbar(
                [float(each.target) for each in numbers],
                [each.mean for each in numbers],
                yerr=[1.96 * each.error for each in numbers],
                color=color,
                marker="o",
                capsize=3,
                label=player,
            )
        for each in mine:
            if each.target in ("", AUTO):
                label = f"{player}, {each.target or 'no target'}"
                top.axhline(each.mean, color=color, linestyle="--", linewidth=1, label=label)
    low, high = float(play.returns.min()), float(play.returns.max())
    if any(each.target for each in found):
        top.plot([low, high], [low, high], color="#999999", linewidth=1, label="return = target")
    top.set_ylabel("return")
    top.grid(alpha=0.3)
    top.legend(frameon=False, fontsize=8)
    whole = has_whole_returns(play)
    bins = np.arange(low, high + 2) - 0.5 if whole and high - low < MOST_BINS else NUM_BINS
    bottom.hist(play.returns, bins=bins, color="#a6cee3")
    bottom.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    bottom.set_xlabel("target" if any(each.target for each in found) else "return")
    bottom.set_ylabel("episodes\nin the data")
    figure.suptitle(escape(title))
    return png(figure)
