"""Evaluation of agents: episodes in all scenarios, summarized as a report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.report import PlayerName, Report, Row
from gridmem.baselines.evaluation.rollouts import (
    HELD_OUT_KEY_DATA,
    Played,
    Player,
    draw_levels,
    play_levels,
)
from gridmem.baselines.evaluation.scenarios import (
    Scenario,
    crowded_scenario,
    fresh_scenario,
    other_scenario,
    own_scenario,
)
from gridmem.envs.analysis.metrics import episode_stats, measure
from gridmem.envs.env import Env


class Entry(NamedTuple):
    """One row to be evaluated."""

    agent: str
    player: PlayerName
    scenario: Scenario

    def play(self, graphdef: Any, params: Any, key: Key[Array, ""]) -> Played:
        """The episodes; graphdef and params are those of the agent, None and () without one."""
        player = Player(graphdef, self.player == "greedy", self.player == "memory wiped")
        return play_levels(self.scenario.env, player, params, self.scenario.levels, key)


def evaluate_agents(
    agents: Mapping[str, Agent],
    num_levels: int,
    seed: int,
    progress: Callable[[str], None],
    ids: Sequence[str] = (),
    crowds: Sequence[int] = (),
) -> Report:
    """Evaluates agents on stored test levels and fresh ones, beside random actions and controls.

    Agents of equal shape share their compiled functions.

    Args:
        agents: name -> agent.
        num_levels: of each scenario.
        seed: of the players' random draws; levels do not depend on it.
        progress: called with a line of text before each row.
        ids: further environments for each agent.
        crowds: further numbers of agents in a cave, likewise.

    Raises:
        ValueError: for an invalid id or number, before any episode.
    """
    entries = [
        entry
        for name, agent in agents.items()
        for entry in _entries(name, agent, num_levels, ids, crowds)
    ]
    entries = list(dict.fromkeys(entries))  # agents share the rows of random actions
    key, rows = jax.random.key(seed), []
    for number, entry in enumerate(entries, 1):
        player, scenario = " ".join(filter(None, entry[:2])), entry.scenario
        progress(f"{number} of {len(entries)}: {player}, {scenario.about}, {scenario.kind} levels")
        agent = agents.get(entry.agent)
        graphdef, params = (None, ()) if agent is None else (agent.graphdef, agent.params)
        actions = entry.play(graphdef, params, key).action
        episodes = jax.device_get(measure(scenario.env, scenario.levels, actions))
        rows.append(Row.of(*entry, np.asarray(actions), episodes))
    return Report(rows, seed)


def evaluate_held_out(
    id: str, env: Env, graphdef: Any, params: Mapping[str, Any], num_levels: int
) -> Report:
    """Evaluates models that share a graphdef on held-out levels, by rewards alone.

    Args:
        id: of the environment.
        env: the environment.
        graphdef: static part of the models.
        params: name -> parameters of a model.
        num_levels: to play, one episode each.

    Returns:
        rows of each model's sampled and greedy actions, then that of random actions.
    """
    levels, key = draw_levels(env, num_levels, HELD_OUT_KEY_DATA)
    scenario = Scenario(id, env, "held-out", levels)
    players: tuple[PlayerName, ...] = ("sampled", "greedy")
    entries = [Entry(name, player, scenario) for name in params for player in players]
    rows = []
    for entry in [*entries, Entry("", "random", scenario)]:
        model = (graphdef, params[entry.agent]) if entry.agent else (None, ())
        played = entry.play(*model, key)
        stats = jax.device_get(episode_stats(jnp.swapaxes(played.reward, 0, 1)))
        rows.append(Row.of(*entry, np.asarray(played.action), stats))
    return Report(rows, None)


def _entries(
    name: str, agent: Agent, num_levels: int, ids: Sequence[str], crowds: Sequence[int]
) -> list[Entry]:
    own, fresh = own_scenario(agent, num_levels), fresh_scenario(agent, num_levels)
    others = [other_scenario(agent, id, num_levels) for id in ids]
    others += [crowded_scenario(agent, number, num_levels) for number in crowds]
    entries = [
        Entry("", "random", own),
        Entry(name, "sampled", own),
        Entry(name, "greedy", own),
        Entry(name, "memory wiped", own),
        Entry(name, "sampled", fresh),
    ]
    for scenario in others:
        entries += [Entry("", "random", scenario), Entry(name, "sampled", scenario)]
    return entries
